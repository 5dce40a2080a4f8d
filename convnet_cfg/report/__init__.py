"""What a training did, to look at."""
