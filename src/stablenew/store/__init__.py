"""Bytes on disk: the one place that writes under `runs/`."""
