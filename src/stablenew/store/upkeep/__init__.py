"""Verify, repair and merge stores; copies and archives of sealed runs."""
