"""Pipelines of the diffusers library, in this process."""
