"""The documents of a run and what is derived from them, one model a module."""
