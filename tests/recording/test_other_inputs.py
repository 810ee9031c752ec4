"""What programs hand over as images, settings and times, beside the usual: each is kept as what it means."""

import argparse
import array
import base64
import io
from collections import UserDict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from stablenew import RunRecorder, RunStore, RunVerifier
from stablenew.errors import ConfigError, InvalidDocument
from tests.samples import png


def record(tmp_path, **given):
    """The one record of a run with what was given, its outputs' bytes, and the run; the run must be sound."""
    with RunRecorder(tmp_path / "runs") as recorder:
        recorder.record_variant(**{"prompt": "a cat"} | given)
    run = RunStore(tmp_path / "runs").open(recorder.run_id)
    assert RunVerifier(run, deep=True).verify().findings == ()
    (found,) = run.iter_records()
    return found, [(run.path / output.path).read_bytes() for output in found.outputs], run


class HoldsAnArray:
    def __array__(self, dtype=None, copy=None):
        return np.full((4, 6, 3), 9, np.uint8)


class RaisesOnEveryAttribute:
    def __getattr__(self, name):
        raise RuntimeError(name)


@pytest.mark.parametrize("form", ["base64", "file address", "array of bytes", "home", "memory file"])
def test_other_forms_of_an_image_file_are_read(tmp_path, monkeypatch, form):
    (tmp_path / "a b.png").write_bytes(png())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    forms = {
        "base64": base64.b64encode(png()).decode(),
        "file address": (tmp_path / "a b.png").as_uri(),
        "array of bytes": array.array("B", png()),
        "home": "~/a b.png",
        "memory file": io.BytesIO(png()),
    }
    for images in (forms[form], [forms[form]]):
        _, kept, run = record(tmp_path, images=images)
        assert kept == [png()]
        assert run.metadata.status == "completed"


@pytest.mark.parametrize("shape", [(4, 6, 3), (4, 6), (2, 4, 6, 3)])
def test_lists_of_numbers_are_the_pixels_that_they_list(tmp_path, shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    _, kept, _ = record(tmp_path, images=pixels.tolist())
    shown = [np.asarray(Image.open(io.BytesIO(data))) for data in kept]
    assert np.array_equal(np.stack(shown), pixels.reshape(-1, *shown[0].shape))


@pytest.mark.parametrize("numbers", [[1, 2, 3], [0.5] * 200])
def test_lists_of_numbers_that_are_no_pixels_are_refused_once(tmp_path, numbers):
    found, kept, run = record(tmp_path, images=numbers)
    assert (found.prompt.positive, kept, run.metadata.status) == ("a cat", [], "partial")
    assert len(run.metadata.unrecorded) == 1


def test_numbers_among_images_hide_none_of_them(tmp_path):
    found, kept, run = record(tmp_path, images=[5, png(), 0.5])
    assert (kept, len(found.outputs)) == ([png()], 1)
    assert [problem.image for problem in run.metadata.unrecorded] == [0, 2]


def test_an_object_that_numpy_understands_is_an_image(tmp_path):
    _, (kept,), _ = record(tmp_path, images=[HoldsAnArray()])
    with Image.open(io.BytesIO(kept)) as image:
        assert (image.size, image.getpixel((0, 0))) == ((6, 4), (9, 9, 9))


@pytest.mark.parametrize(
    "numbers",
    [
        np.full((4, 6, 3), np.nan),
        np.linspace(-1, 1, 72).reshape(4, 6, 3),
        np.ones((4, 6, 3), np.complex64),
        np.zeros((5, 6, 9), np.float32),
        np.full((4, 6, 3), 2**40),
    ],
)
def test_numbers_that_no_image_file_holds_are_kept_as_an_array(tmp_path, numbers):
    found, (kept,), run = record(tmp_path, images=[numbers])
    np.testing.assert_array_equal(np.load(io.BytesIO(kept), allow_pickle=False), numbers)
    assert "kept as an array of NumPy" in found.odd["images[0]"]
    assert run.metadata.status == "completed"
    with (
        RunRecorder(tmp_path / "strict", strict=True) as recorder,
        pytest.raises(InvalidDocument, match=r"images\[0\]"),
    ):
        recorder.record_variant(prompt="a cat", images=[numbers])


NO_IMAGES = {
    "odd object": RaisesOnEveryAttribute,
    "integer": lambda: 7,
    "scalar": lambda: np.float32(7),
    "nothing": lambda: np.zeros(0),
    "texts": lambda: np.array(["a.png"]),
    "object": object,
}


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_what_is_no_image_costs_neither_the_record_nor_the_images_beside_it(tmp_path, kind):
    found, kept, run = record(tmp_path, images=[png(b"1"), NO_IMAGES[kind](), png(b"2")])
    assert kept == [png(b"1"), png(b"2")]
    assert (found.prompt.positive, run.metadata.status) == ("a cat", "partial")
    assert [lost.image for lost in run.metadata.unrecorded] == [1]


class Sampler(Enum):
    EULER = 1
    DPM = "DPM++ 2M"


@dataclass
class Settings:
    steps: int = 20


def test_numbers_of_any_type_are_numbers(tmp_path):
    settings = {"steps": Decimal(20), "cfg_scale": Fraction(15, 2), "seed": "1e3", "sampler": Sampler.EULER}
    found, _, _ = record(tmp_path, settings=settings | {"scheduler": Sampler.DPM})
    requested = found.requested
    assert (requested.steps, requested.cfg_scale, requested.seed) == (20, 7.5, 1000)
    assert (requested.sampler, requested.scheduler) == ("EULER", "DPM++ 2M")
    assert found.odd is None


class Named(NamedTuple):
    steps: int


@dataclass(slots=True)
class Slotted:
    steps: int


@pytest.mark.parametrize(
    "settings",
    [
        argparse.Namespace(steps=20),
        Settings(),
        [("steps", 20)],
        (("steps", 20),),
        UserDict(steps=20),
        Named(20),
        Slotted(20),
    ],
)
def test_settings_may_be_an_object_or_pairs(tmp_path, settings):
    found, _, _ = record(tmp_path, settings=settings)
    assert (found.requested.steps, found.odd) == (20, None)


def test_seconds_since_1970_are_a_time(tmp_path):
    moment = datetime(2026, 11, 21, 7, 10, 9, 500_000, UTC)
    found, _, _ = record(tmp_path, started_at=moment.timestamp(), finished_at=int(moment.timestamp()) + 5)
    assert (found.started_at, found.finished_at) == ("2026-11-21T07:10:09.500Z", "2026-11-21T07:10:14.000Z")
    assert record(tmp_path, started_at=5, finished_at=float("nan"))[0].odd.keys() == {"started_at", "finished_at"}


def test_an_id_that_cannot_name_a_run_costs_no_run(tmp_path, caplog):
    for wanted in ("Ünï/..", "", "CON", 7, "x" * 65):
        with RunRecorder(tmp_path / "runs", run_id=wanted) as recorder:
            assert recorder.record_variant(prompt="a cat", images=[png()]) is not None
        assert recorder.run.metadata.status == "completed"
    with pytest.raises(ConfigError, match="cannot name a run"):
        RunRecorder(tmp_path / "runs", run_id="Ünï/..", strict=True)
