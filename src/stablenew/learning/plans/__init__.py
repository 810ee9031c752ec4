"""Learning plans: their steps and result sheets."""
