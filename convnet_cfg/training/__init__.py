"""Training: the loop, testing, run directories, checkpoints and exact resuming."""
