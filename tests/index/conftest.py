"""An index to fill by hand."""

import contextlib

import pytest

from tests.index.entries import Filled


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory):
    """The same for all tests of a module, which only ask."""
    with contextlib.closing(Filled(tmp_path_factory.mktemp("index"))) as found:
        yield found


@pytest.fixture
def filled(tmp_path):
    """An empty index to fill."""
    with contextlib.closing(Filled(tmp_path)) as found:
        yield found
