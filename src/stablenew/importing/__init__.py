"""Taking in the images that people already have: they become runs, and stay where they are."""
