"""A dataset in the formats that other programs load."""
