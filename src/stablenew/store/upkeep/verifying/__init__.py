"""Whether a run is still what was recorded: what is checked, and what is found."""
