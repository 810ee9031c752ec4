"""From run folders to index rows."""
