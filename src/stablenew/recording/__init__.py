"""From an executed variant to lines in a run."""
