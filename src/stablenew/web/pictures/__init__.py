"""Small pictures of outputs: made in child processes, kept by digest."""
