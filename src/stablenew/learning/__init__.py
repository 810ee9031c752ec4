"""Learning from runs: reading all of them at once."""
