"""What people said of a run: the event log, its files, and their readers."""
