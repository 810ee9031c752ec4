"""Names of files on their way: known by every reader, and no file that somebody else named is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.disk.atomic_file import is_temporary, temporary_name

NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=30)


@given(NAMES, st.integers(0, 2**32 - 1))
def test_a_temporary_name_is_known_as_one_whatever_the_file_is_called(name, token):
    assert is_temporary(temporary_name(name, f"{token:08x}"))


def test_a_temporary_name_is_hidden_and_never_changes():
    """Readers of earlier versions leave these files alone by their name."""
    assert temporary_name("records.jsonl", "0a1b2c3d") == ".records.jsonl.0a1b2c3d.tmp"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "records.jsonl",
        "records.jsonl.0a1b2c3d.tmp",
        ".records.jsonl.0a1b2c3d.tmp\n",
        ".records.jsonl.0a1b2c3d.temp",
        ".records.jsonl.0A1B2C3D.tmp",
        ".records.jsonl.0a1b2c3.tmp",
        ".records.jsonl.0a1b2c3dd.tmp",
        "..0a1b2c3d.tmp",
        ".0a1b2c3d.tmp",
    ],
)
def test_a_name_of_another_form_belongs_to_somebody_else(name):
    assert not is_temporary(name)
