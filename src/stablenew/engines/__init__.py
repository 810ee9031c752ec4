"""What makes images: the protocol, and the engines."""
