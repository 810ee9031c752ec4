"""OutputReference: one place for each output, in the run or elsewhere."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stablenew.formats.documents.output_reference import Origin, OutputReference
from tests.formats.documents.field_contract import DIGEST

WHAT = {"digest": DIGEST, "size_bytes": 9, "media_type": "image/png", "stage": "txt2img"}
ORIGIN = {"root": "pictures", "path": "2024/münchen.png", "name": "münchen.png"}


def output(**fields):
    return OutputReference.model_validate(WHAT | fields)


def origin(**fields):
    return Origin.model_validate(ORIGIN | fields)


def test_an_output_lies_in_the_run_or_elsewhere():
    held, elsewhere = output(path="outputs/a.png"), output(origin=ORIGIN)
    assert (held.is_held, held.path_in_run) == (True, "outputs/a.png")
    assert (elsewhere.is_held, elsewhere.origin.name) == (False, "münchen.png")
    with pytest.raises(ValueError, match=f"output {DIGEST} lies outside the run"):
        _ = elsewhere.path_in_run


@pytest.mark.parametrize("places", [{}, {"path": "outputs/a.png", "origin": ORIGIN}, {"path": None, "origin": None}])
def test_an_output_has_exactly_one_place(places):
    with pytest.raises(ValidationError, match="either a path in the run or an origin elsewhere"):
        output(**places)


def test_a_place_that_is_null_is_none():
    assert output(path="outputs/a.png", origin=None).is_held
    assert not output(path=None, origin=ORIGIN).is_held


@pytest.mark.parametrize("path", ["a", "a/b.png", ".hidden", "..a", "...", "a/.b/..c/....", "a b/ü", "a\\b", "C:x"])
def test_an_image_elsewhere_lies_beneath_its_folder(path):
    assert origin(path=path).path == path


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a", "a/./b", "a\nb", "a\0b", "a" * 4097]
)
def test_a_path_that_could_lead_out_of_its_folder_is_refused(path):
    with pytest.raises(ValidationError, match="path"):
        origin(path=path)


@given(st.lists(st.text("ab./ü ", min_size=1, max_size=4), min_size=1, max_size=4).map("/".join))
def test_a_path_that_is_taken_has_no_empty_part_and_none_of_dots(path):
    is_sound = all(part not in ("", ".", "..") for part in path.split("/"))
    try:
        origin(path=path)
    except ValidationError:
        assert not is_sound
    else:
        assert is_sound


@given(st.binary(max_size=60))
def test_the_bytes_of_a_path_that_is_no_text_survive(data):
    written = base64.b64encode(data).decode()
    assert base64.b64decode(origin(path_bytes=written).path_bytes) == data


@pytest.mark.parametrize("written", ["YQ", "YQ=", "YQ===", "Y Q=", "YWJj\n", "Ä===", "=" * 4, "YWJj" * 2049])
def test_bytes_of_a_path_that_are_not_base64_are_refused(written):
    with pytest.raises(ValidationError, match="path_bytes"):
        origin(path_bytes=written)


@pytest.mark.parametrize("missing", ["root", "path", "name"])
def test_an_image_elsewhere_needs_a_folder_a_path_and_a_name(missing):
    with pytest.raises(ValidationError, match=missing):
        Origin.model_validate({key: value for key, value in ORIGIN.items() if key != missing})
