"""Durable files: atomic replacement, group sync, line logs, locks. Nothing here knows what a run is."""
