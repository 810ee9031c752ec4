"""Prompt packs, variants, and the runner that takes them through the stages."""
