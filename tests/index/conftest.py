"""An index to fill by hand."""

import contextlib

import pytest

from tests.index.entries import Filled


@pytest.fixture
def filled(tmp_path):
    """An empty index to fill."""
    with contextlib.closing(Filled(tmp_path)) as found:
        yield found
