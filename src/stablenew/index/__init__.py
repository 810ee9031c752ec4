"""Finding runs: a cache of the run folders that can be deleted at will, kept in step with them."""
