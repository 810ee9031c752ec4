"""Content Credentials (C2PA): signed statements inside copies of images, or beside them."""
