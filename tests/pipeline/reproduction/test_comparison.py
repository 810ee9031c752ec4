"""Verdicts on images, and what is concluded: pure."""

import io

import numpy as np
import pytest
from PIL import Image

from stablenew.formats.documents.run_metadata import Closure
from stablenew.pipeline.reproduction.change import Change
from stablenew.pipeline.reproduction.changes import find_changes
from stablenew.pipeline.reproduction.closure_changes import compare_closures
from stablenew.pipeline.reproduction.comparison import ImageComparison, Reproduction
from stablenew.pipeline.reproduction.pixels import compare_pixels


def encode(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def picture():
    return np.random.default_rng(3).integers(40, 200, (32, 32, 3))


def test_the_same_pixels_in_another_file_are_no_difference(picture):
    assert compare_pixels(encode(picture), encode(picture, compress_level=1)).is_none


def test_the_difference_is_told_in_figures(picture):
    other = picture.copy()
    other[0, 0] += 30
    found = compare_pixels(encode(picture), encode(other))
    assert found.largest == 30
    assert found.changed_share == pytest.approx(1 / 1024)
    assert found.mean == pytest.approx(30 / 1024)
    assert found.looks_alike


def test_an_image_shifted_by_a_little_noise_looks_alike_and_another_one_does_not(picture):
    rng = np.random.default_rng(4)
    noisy = picture + rng.integers(-3, 4, picture.shape)
    assert compare_pixels(encode(picture), encode(noisy)).looks_alike
    assert not compare_pixels(encode(picture), encode(rng.integers(40, 200, picture.shape))).looks_alike


@pytest.mark.parametrize("other", [b"no image", encode(np.zeros((8, 8, 3)))])
def test_what_cannot_be_decoded_or_has_another_size_has_no_figures(picture, other):
    assert compare_pixels(encode(picture), other) is None


TORCH = Change("version", "torch", "2.1", "2.2")


@pytest.mark.parametrize(
    ("verdict", "changes", "unknown", "words"),
    [
        ("identical", (), (), "nothing known changed"),
        ("identical", (TORCH,), (), "what changed had no effect on these images"),
        ("differs", (TORCH,), (), "that is the only known change: it is the cause"),
        ("differs", (TORCH, TORCH), (), "2 things changed; which of them is the cause cannot be told from one rerun"),
        ("differs", (TORCH,), ("a hash",), "the only known change; not everything is known, so it need not be the"),
        ("differs", (), (), "nothing known changed"),
        ("looks alike", (), ("a hash",), "nothing known changed; not everything is known"),
        ("missing", (TORCH,), (), "that is the only known change: it is the cause"),
    ],
)
def test_the_conclusion_says_no_more_than_is_known(verdict, changes, unknown, words):
    found = Reproduction("b", "a", (ImageComparison(0, "txt2img", 0, verdict),), changes, unknown)
    assert found.conclude().startswith(words)
    assert (found.cause is not None) == ("it is the cause" in words)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [(None, None, "of both runs"), (None, Closure(), "of the first run"), (Closure(), None, "of the second run")],
)
def test_a_run_without_a_closure_is_said_to_have_none(before, after, words):
    (reason,) = find_changes((before, after), ()).unknown
    assert words in reason


def test_a_hash_that_is_pending_or_absent_is_unknown_and_no_change():
    before, after = (
        Closure.model_validate({"models": [{"name": "a", "sha256": sha256}, {"name": "b"}]})
        for sha256 in ("pending", "f" * 64)
    )
    found = find_changes((before, after), ())
    assert found.found == ()
    assert len(found.unknown) == 2


def test_files_that_one_run_does_not_name_are_unknown_and_no_change():
    named = Closure.model_validate({"models": [{"name": "a", "sha256": "a" * 64}], "versions": {"torch": "2"}})
    silent = Closure.model_validate({"versions": {"torch": "2"}})
    for pair in ((named, silent), (silent, named)):
        changes, unknown = compare_closures(*pair)
        assert (changes, unknown) == ([], ["which files were used: one of the two runs does not say"])
