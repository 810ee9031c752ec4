"""From runs to the tables of a dataset."""
