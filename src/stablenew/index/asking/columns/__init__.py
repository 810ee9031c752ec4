"""The columns of the index in memory: which images and jobs fit a query, in which order, and how many have what."""
