"""What is on disk or crosses a layer: pure models and functions, no I/O."""
