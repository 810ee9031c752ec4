"""Taking over what people said about their images in other programs."""
