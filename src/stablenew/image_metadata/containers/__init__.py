"""Where texts lie in each file format, and how large the image is; no pixel is decoded."""
