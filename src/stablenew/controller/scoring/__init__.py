"""Scoring images: numbers that programs give them, searched, sorted and learned from like stars."""
