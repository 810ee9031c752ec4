"""What bytes say about how an image was made: readers of embedded metadata, one module per family of tools. Pure."""
