"""One module per family of tools: what its texts look like, and what they say."""
