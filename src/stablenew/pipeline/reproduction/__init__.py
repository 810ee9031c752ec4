"""Whether a run that ran again gave the same images, and what changed between the two."""
