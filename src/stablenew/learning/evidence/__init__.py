"""What the ratings say about each setting, and how sure that is."""
