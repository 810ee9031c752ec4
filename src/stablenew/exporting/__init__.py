"""What was recorded and said, in the files that other programs read."""
