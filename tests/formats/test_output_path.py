"""Where an output may lie in its run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.formats.output_path import is_output_path


@pytest.mark.parametrize(
    "path", ["outputs/a", "outputs/0000-txt2img-0.3f9a1c2b4d5e.png", "outputs/A..b", "outputs/" + "a" * 120]
)
def test_an_output_lies_in_its_folder_under_a_plain_name(path):
    assert is_output_path(path)


@pytest.mark.parametrize(
    "path",
    ["", "a.png", "outputs", "outputs/", "/outputs/a", "outputs/a/b", "outputs/../a", "outputs/.a", "outputs/a.",
     "outputs/-a", "outputs\\a", "Outputs/a", "outputs/a b", "outputs/é", "outputs/a\n", "outputs/٣", "outputs/a\0b",
     "outputs/" + "a" * 121],
)  # fmt: skip
def test_no_other_path_can_be_one(path):
    assert not is_output_path(path)


@given(st.text("a./\\-_ \n", max_size=8))
def test_a_path_that_is_taken_leads_nowhere_but_into_the_folder(rest):
    if is_output_path(f"outputs/{rest}"):
        assert "/" not in rest
        assert rest[0] == rest[-1] == "a"
