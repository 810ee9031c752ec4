"""Blind duels: drawing pairs of images, and what the votes say, however often one looks."""
