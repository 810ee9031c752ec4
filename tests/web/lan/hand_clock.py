"""A clock that is moved by hand."""


class HandClock:
    """Gives the same time, in seconds, until it is moved."""

    def __init__(self, time=0.0):
        self.time = time

    def __call__(self):
        return self.time
