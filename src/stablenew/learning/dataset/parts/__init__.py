"""Making parts of a dataset, here or on other machines."""
