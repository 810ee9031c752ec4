"""Learning plans wired to the pipeline and the store, the next round of one, and tuning as a page shows it."""
