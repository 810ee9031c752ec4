"""One surface over all settings, learned from every star and every comparison, and what to try next."""
