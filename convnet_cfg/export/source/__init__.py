"""A network as source text: one readable file for another program, which needs nothing of this one."""
