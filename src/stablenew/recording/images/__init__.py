"""Images as programs hand them over, in memory or as files, and how they become image files without loss."""
