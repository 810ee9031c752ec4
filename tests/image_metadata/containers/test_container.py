"""What a reader fills in, within the bounds that hold whatever a file claims."""

import pytest

from stablenew.image_metadata.containers.container import MAX_TEXT_BYTES, MAX_TEXTS, Container, EmbeddedText


def test_nothing_is_known_of_a_file_that_was_not_read():
    container = Container()
    assert (container.media_type, container.width, container.height) == ("application/octet-stream", None, None)
    assert (container.has_alpha, container.c2pa, container.rating) == (None, None, None)
    assert not container.is_lossless
    assert not container.is_animated


def test_texts_are_kept_in_the_order_of_the_file_and_whole():
    container = Container()
    container.add("png", "parameters", " a\n")
    container.add("exif", "UserComment", "b")
    assert container.texts == [EmbeddedText("png", "parameters", " a\n"), EmbeddedText("exif", "UserComment", "b")]
    assert container.room == 2 * MAX_TEXT_BYTES - 4


@pytest.mark.parametrize("text", ["", " ", "\0\0", " \t\r\n\0"])
def test_a_text_that_says_nothing_is_not_kept(text):
    container = Container()
    container.add("png", "parameters", text)
    assert (container.texts, container.problems, container.room) == ([], [], 2 * MAX_TEXT_BYTES)


def test_what_fits_exactly_is_kept_and_one_letter_more_is_reported_once_for_each_place():
    container = Container()
    half = "a" * MAX_TEXT_BYTES
    container.add("png", "first", half)
    container.add("png", "second", half)
    assert (container.room, container.problems) == (0, [])
    for _ in range(3):
        container.add("png", "third", "x")
    assert container.problems == ["png:third was left out: the file holds too much text"]
    assert len(container.texts) == 2


def test_a_text_that_was_left_out_takes_no_room_from_others():
    container = Container()
    container.add("png", "large", "a" * (2 * MAX_TEXT_BYTES + 1))
    container.add("png", "small", "a")
    assert [found.key for found in container.texts] == ["small"]


def test_a_file_has_a_number_of_texts_and_of_problems_that_is_bounded():
    container = Container()
    for number in range(MAX_TEXTS + 3):
        container.add("png", f"key{number}", "x")
        container.report(f"problem {number}")
    assert len(container.texts) == len(container.problems) == MAX_TEXTS
    assert container.texts[-1].key == f"key{MAX_TEXTS - 1}"


@pytest.mark.parametrize(
    ("width", "height", "size"), [(64, 48, (64, 48)), (1, 1, (1, 1)), (0, 48, None), (64, 0, None), (-1, 48, None)]
)
def test_a_size_is_kept_if_it_is_one(width, height, size):
    container = Container()
    container.set_size(width, height)
    assert (container.width, container.height) == (size or (None, None))


def test_a_size_that_is_none_takes_a_known_one_away_from_nobody():
    container = Container()
    container.set_size(64, 48)
    container.set_size(0, 0)
    assert (container.width, container.height) == (64, 48)


def test_the_texts_of_a_key_are_found_in_all_places_or_in_some():
    container = Container()
    for place, text in (("exif", "a"), ("png", "b"), ("exif", "c")):
        container.add(place, "Comment", text)
    container.add("exif", "comment", "d")
    assert container.values("Comment") == ["a", "b", "c"]
    assert container.values("Comment", ["exif"]) == ["a", "c"]
    assert container.values("Comment", iter(["png", "exif"])) == ["a", "b", "c"]
    assert container.values("Other") == []
