"""Where runs are read from, and the tables of their documents."""
