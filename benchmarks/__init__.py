"""Measured comparisons with peers, interleaved in one run; never timed tests. `make bench` runs them."""
