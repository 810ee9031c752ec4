"""A record is evidence: whatever a program says about a variant, its prompt and images are kept."""

import base64
import copy
import datetime as dt
import io
import itertools
import logging
import os
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence, PngImagePlugin

from stablenew import RunRecorder, RunStore, RunVerifier
from stablenew.errors import InvalidDocument
from tests.profiles import by_profile
from tests.samples import png


class Hostile:
    """A value whose every method raises."""

    def __repr__(self):
        raise RuntimeError("no")

    __str__ = __eq__ = __iter__ = __len__ = __bool__ = __hash__ = __repr__


def record(tmp_path, **fields):
    """One variant, recorded; gives its record, and the run as it is sealed."""
    with RunRecorder(tmp_path / "runs") as run:
        made = run.record_variant(**{"prompt": "a quay", "images": [png()], **fields})
    assert RunVerifier(run.run, deep=True).verify().findings == ()
    return made, run.run


@pytest.mark.parametrize(
    ("given_value", "field", "kept"),
    [
        ({"steps": " 30 "}, "steps", 30),
        ({"steps": "30.0"}, "steps", 30),
        ({"cfg_scale": "6.5"}, "cfg_scale", 6.5),
        ({"cfg_scale": np.float32(6.5)}, "cfg_scale", 6.5),
        ({"seed": "18446744073709551615"}, "seed", 2**64 - 1),
        ({"seed": np.uint64(2**64 - 1)}, "seed", 2**64 - 1),
        ({"width": 512.0}, "width", 512),
        ({"model": 15}, "model", "15"),
        ({"vae": Path("vae/kl.safetensors")}, "vae", "vae/kl.safetensors"),
        ({"num_inference_steps": 12}, "steps", 12),
    ],
)
def test_numbers_as_text_and_scalars_of_other_libraries_are_read(tmp_path, given_value, field, kept):
    made, run = record(tmp_path, settings=given_value, actual=given_value)
    assert (getattr(made.requested, field), getattr(made.actual, field)) == (kept, kept)
    assert (made.odd, run.status) == (None, "completed")


@pytest.mark.parametrize(
    ("fields", "name", "text"),
    [
        ({"settings": {"steps": 20.5}}, "requested.steps", "20.5"),
        ({"settings": {"seed": True}}, "requested.seed", "true"),
        ({"actual": {"seed": 10**80}}, "actual.seed", str(10**80)),
        ({"settings": {"height": -64}}, "requested.height", "-64"),
        ({"settings": {"cfg": float("inf")}}, "requested.cfg", "inf"),
        ({"settings": {"vae": ["a", "b"]}}, "requested.vae", '["a","b"]'),
        ({"settings": "steps=30"}, "requested", "steps=30"),
        ({"settings": {"cfg_scale": 7, "guidance_scale": 5}}, "requested.guidance_scale", "5"),
        ({"stage": "Hi-Res Fix"}, "stage", "Hi-Res Fix"),
        ({"started_at": "yesterday"}, "started_at", "yesterday"),
        ({"duration_seconds": -1}, "duration_seconds", "-1"),
        ({"overrides": [1, 2]}, "overrides", "[1,2]"),
        ({"seeds": [1, 2, 3]}, "seeds", "[1,2,3]"),
        ({"parents": ["nobody"]}, "parents[0]", "nobody"),
        ({"prompt": None}, "prompt", "null"),
        ({"prompt": ["a", "b"]}, "prompt", '["a","b"]'),
        ({"metrics": {"aesthetic": "high"}}, "metrics.aesthetic", "high"),
        ({"sampler": "Euler"}, "sampler", "Euler"),
    ],
)
def test_what_does_not_fit_stands_beside_the_record_and_nothing_else_is_lost(tmp_path, fields, name, text):
    made, run = record(tmp_path, **fields)
    assert made.odd[name] == text
    assert (len(made.outputs), run.status, run.metadata.record_count) == (1, "completed", 1)


def test_names_of_other_programs_become_the_standard_ones_and_are_not_forgotten(tmp_path):
    made, _ = record(tmp_path, settings={"guidance_scale": 6, "sampler_name": "Euler", "flux_shift": 3.1})
    assert made.requested.to_dict() == {"cfg_scale": 6.0, "sampler": "Euler", "flux_shift": 3.1}
    assert made.given_names == {"guidance_scale": "cfg_scale", "sampler_name": "sampler"}


def test_values_that_cannot_even_be_described_do_not_take_the_image_with_them(tmp_path):
    cyclic = {"steps": 4}
    cyclic.update({"self": cyclic, "again": cyclic})
    for fields in (
        {"settings": {"mode": Hostile(), "steps": Hostile()}},
        {"settings": cyclic},
        {"prompt": Hostile(), "label": Hostile(), "error": Hostile()},
        {"settings": {"notes": "x" * (3 << 20)}, "actual": {"big": 10**6000}},
        {"started_at": dt.datetime.min},
        {"metrics": {"aesthetic": np.float64(5.5)}},
    ):
        made, run = record(tmp_path, **fields)
        assert len(made.outputs) == 1, fields
        assert run.metadata.unrecorded is None


class Proxy:
    """Stands for something that is not there (any more): not even its class can be asked for."""

    def __getattribute__(self, name):
        raise RuntimeError("working outside of a request")


@pytest.mark.parametrize("name", ["prompt", "settings", "seeds", "stage", "label", "metrics", "error", "mood"])
def test_a_stand_in_for_nothing_does_not_take_the_image_with_it(tmp_path, name):
    made, run = record(tmp_path, **{name: Proxy()})
    assert (len(made.outputs), run.metadata.unrecorded) == (1, None)
    assert "Proxy" in str(made.to_dict())


def test_a_stand_in_for_nothing_among_images_is_named(tmp_path):
    for images, count in ((Proxy(), 0), ([png(), Proxy()], 1)):
        made, run = record(tmp_path, images=images)
        assert "outside of a request" in run.metadata.unrecorded[0].reason
        assert len(made.outputs) == count


def test_no_setting_is_dropped_without_a_word(tmp_path):
    for value in (float("nan"), float("-inf"), np.float32("nan"), np.datetime64("NaT")):
        made, _ = record(tmp_path, settings={"shift": value, "model": value})
        assert {"requested.shift", "requested.model"} == set(made.odd)
        assert made.requested.to_dict() == {}
    made, _ = record(tmp_path, settings=object.__new__(type("Options", (), {})))
    assert "Options" in made.odd["requested"]


def str_of_type(value):
    return type(value).__name__


@pytest.mark.parametrize("total", [float("nan"), 10**5000, True, -3, "many", np.int64(7), None], ids=str_of_type)
def test_a_total_that_is_no_number_costs_nothing(tmp_path, total):
    with RunRecorder(tmp_path / "runs", total=total) as run:
        made = run.record_variant(prompt="a quay", images=[png()])
    assert made.variant.total == (7 if isinstance(total, np.int64) else 1)


@pytest.mark.parametrize("place", [None, 5, ["runs"]])
def test_a_place_that_is_no_path_is_replaced_by_the_usual_one(tmp_path, monkeypatch, caplog, place):
    monkeypatch.chdir(tmp_path)
    with RunRecorder(place) as run:
        run.record_variant(prompt="a quay", images=[png()])
    assert (run.run.path.parent, run.run.metadata.output_count) == (tmp_path / "runs", 1)
    assert "expected the path" in caplog.text
    with pytest.raises(TypeError):
        RunRecorder(place, strict=True)


def test_a_place_may_be_bytes_or_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for place in ("~/runs", os.fsencode(tmp_path / "runs")):
        with RunRecorder(place) as run:
            pass
        assert run.run.path.parent == tmp_path / "runs"


def test_a_copy_of_a_recorder_is_the_recorder_and_another_process_is_told_what_to_do(tmp_path):
    with RunRecorder(tmp_path / "runs") as run:
        options = copy.deepcopy({"recorder": run, "again": copy.copy(run)})
        for recorder in (run, *options.values()):
            recorder.record_variant(prompt="a quay", images=[png()])
        with pytest.raises(TypeError, match="make one there"):
            pickle.dumps(run)
    assert [made.variant.index for made in run.run.iter_records()] == [0, 1, 2]
    assert RunVerifier(run.run, deep=True).verify().findings == ()


def test_an_exception_that_cannot_be_printed_is_recorded_and_raised(tmp_path):
    class Unprintable(Exception):
        def __str__(self):
            raise RuntimeError("no")

    with pytest.raises(Unprintable), RunRecorder(tmp_path / "runs") as run:
        raise Unprintable
    assert (run.run.metadata.status, run.run.metadata.error.type) == ("failed", "Unprintable")


def test_a_time_with_an_offset_is_the_same_moment(tmp_path):
    made, _ = record(tmp_path, started_at="2026-03-01T12:00:00+05:30")
    assert (made.started_at, made.odd) == ("2026-03-01T06:30:00.000Z", None)


MODES = {
    "1": "PNG", "L": "PNG", "LA": "PNG", "P": "PNG", "RGB": "PNG", "RGBA": "PNG", "I;16": "PNG",
    "CMYK": "TIFF", "I": "TIFF", "F": "TIFF", "LAB": "TIFF", "YCbCr": "TIFF",
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_pillow_images_of_every_mode_come_back_sample_for_sample(tmp_path, mode):
    picture = Image.linear_gradient("L").resize((40, 30))
    if mode == "I;16":
        picture = Image.fromarray((np.arange(1200).reshape(30, 40) * 54).astype(np.uint16))
    elif mode == "I":
        picture = Image.fromarray(np.arange(1200, dtype=np.int32).reshape(30, 40) * 1_000_003 - 7)
    elif mode == "F":
        picture = Image.fromarray(np.linspace(-5, 1e9, 1200, dtype=np.float32).reshape(30, 40))
    elif mode in {"LA", "RGBA", "P", "1", "RGB", "CMYK", "YCbCr"}:
        picture = Image.merge("RGB", [picture, picture.rotate(180), picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
        picture = picture.convert(mode)
    elif mode == "LAB":
        picture = Image.merge("LAB", [picture] * 3)
    made, run = record(tmp_path, images=picture)
    with Image.open(run.path / made.outputs[0].path) as kept:
        assert (kept.format, kept.mode) == (MODES[mode], mode)
        assert kept.tobytes() == picture.tobytes()


@pytest.mark.parametrize("mode", ["PA", "La", "RGBa", "RGBX", "HSV"])
def test_modes_that_no_file_has_are_kept_in_the_nearest_one(tmp_path, mode):
    picture = Image.new("RGB", (6, 4), (9, 80, 200))
    for step in {"PA": ["P", "PA"], "La": ["LA", "La"], "RGBa": ["RGBA", "RGBa"]}.get(mode, [mode]):
        picture = picture.convert(step)
    made, run = record(tmp_path, images=picture)
    assert (len(made.outputs), run.status) == (1, "completed")


def test_an_unchanged_pillow_image_is_its_file_and_a_changed_one_keeps_its_texts(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a quay\nSteps: 20")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (9, 5), (1, 2, 3)).save(tmp_path / "a.png", pnginfo=info, exif=exif, compress_level=9)
    with Image.open(tmp_path / "a.png") as picture:
        made, run = record(tmp_path, images=picture)
        assert (run.path / made.outputs[0].path).read_bytes() == (tmp_path / "a.png").read_bytes()
        picture.putpixel((0, 0), (200, 2, 3))
        made, run = record(tmp_path, images=picture)
    with Image.open(run.path / made.outputs[0].path) as kept:
        assert kept.getpixel((0, 0)) == (200, 2, 3)
        assert kept.text["parameters"] == "a quay\nSteps: 20"
        assert kept.getexif()[0x0112] == 6


def test_an_animation_in_memory_keeps_its_frames_and_their_times(tmp_path):
    frames = [Image.new("RGB", (8, 6), (number * 60, 0, 0)) for number in range(4)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=[100, 200, 300, 400])
    with Image.open(buffer) as animation:
        made, run = record(tmp_path, images=animation)
    with Image.open(run.path / made.outputs[0].path) as kept:
        shown = [
            (frame.convert("RGB").getpixel((0, 0))[0], frame.info["duration"]) for frame in ImageSequence.Iterator(kept)
        ]
    assert shown == [(0, 100), (60, 200), (120, 300), (180, 400)]


GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.stack([GREY, GREY + 50, GREY + 100], axis=2)
DEEP = (RGB.astype(np.uint16) + 1) * 257


@pytest.mark.parametrize(
    ("array", "mode", "count"),
    [
        (GREY, "L", 1),
        (GREY[:, :, None], "L", 1),
        (GREY[None], "L", 1),
        (RGB, "RGB", 1),
        (RGB.transpose(2, 0, 1), "RGB", 1),
        (RGB / 255, "RGB", 1),
        ((RGB / 255).astype(np.float16), "RGB", 1),
        (RGB.astype(np.int64), "RGB", 1),
        (RGB.astype(np.float32), "RGB", 1),
        (np.dstack([RGB, GREY]), "RGBA", 1),
        (np.dstack([GREY, GREY]), "LA", 1),
        (GREY > 20, "L", 1),
        (GREY.astype(np.uint16) * 1000, "I;16", 1),
        (GREY.astype(np.float32) * -3.5, "F", 1),
        (np.stack([RGB, RGB]), "RGB", 2),
        (np.stack([RGB, RGB]).transpose(0, 3, 1, 2), "RGB", 2),
        (np.stack([[RGB, RGB]]), "RGB", 2),
    ],
)
def test_arrays_are_images_whatever_their_type_and_axes(tmp_path, array, mode, count):
    made, run = record(tmp_path, images=array)
    assert [(output.width, output.height) for output in made.outputs] == [(8, 6)] * count
    with Image.open(run.path / made.outputs[0].path) as kept:
        assert kept.mode == mode
        if mode == "RGB":
            assert (np.asarray(kept) == RGB).all()


def test_sixteen_bits_of_colour_are_kept(tmp_path):
    made, run = record(tmp_path, images=DEEP)
    data = (run.path / made.outputs[0].path).read_bytes()
    assert (data[24], data[25]) == (16, 2), "bit depth and colour type of the PNG"
    with Image.open(io.BytesIO(data)) as kept:  # Pillow reads the upper bytes
        assert (np.asarray(kept) == DEEP >> 8).all()


@pytest.mark.heavy
def test_tensors_are_images_with_channels_first(tmp_path):
    torch = pytest.importorskip("torch", reason="needs pip install 'stablenew[diffusers]'")
    tensor = torch.from_numpy(RGB.transpose(2, 0, 1) / 255)
    made, run = record(tmp_path, images=[tensor, tensor.to(torch.bfloat16).requires_grad_(), torch.zeros(3, 3, 3)])
    assert [(output.width, output.height) for output in made.outputs] == [(8, 6), (8, 6), (3, 3)]
    with Image.open(run.path / made.outputs[0].path) as kept:
        assert (np.asarray(kept) == RGB).all()


def test_files_buffers_and_paths_of_every_kind_are_images(tmp_path):
    data = png(b"file")
    (tmp_path / "a.png").write_bytes(data)
    written = io.BytesIO()
    Image.new("RGB", (8, 6)).save(written, "PNG")  # leaves the position at its end
    with (tmp_path / "a.png").open("rb") as file:
        made, _ = record(
            tmp_path,
            images=[
                file,
                written,
                bytearray(data),
                memoryview(data),
                os.fsencode(tmp_path / "a.png"),
                "data:image/png;base64," + base64.b64encode(data).decode(),
                [[data]],
                {"first": data},
                (data for _ in range(2)),
            ],
        )
    assert [output.media_type for output in made.outputs] == ["image/png"] * 10


@pytest.mark.parametrize(
    "bad",
    [None, "gone.png", ".", 5, b"", Hostile(), Image.Image(), np.zeros((4, 0, 3)), np.array(["a"]), io.StringIO("text"),
     "data:image/png;base64,§"],
)  # fmt: skip
def test_an_image_that_cannot_be_read_is_named_and_spoils_no_other(tmp_path, bad, caplog):
    with caplog.at_level(logging.ERROR, "stablenew"), RunRecorder(tmp_path / "runs") as run:
        made = run.record_variant(prompt="a quay", images=[png(b"1"), bad, png(b"2")])
    assert len(made.outputs) == 2
    (lost,) = run.run.metadata.unrecorded
    assert (lost.index, lost.image, run.run.status) == (0, 1, "partial")
    assert len(caplog.records) == 1, "said once, on leaving the block"
    assert RunVerifier(run.run, deep=True).verify().findings == ()


def test_no_images_at_all_leave_a_record_that_says_so(tmp_path):
    made, run = record(tmp_path, images=None)
    assert (made.prompt.positive, made.outputs, run.status) == ("a quay", (), "partial")
    made, run = record(tmp_path, images=None, error="out of memory")
    assert (made.status, run.status) == ("failed", "completed")


def test_images_that_break_off_are_kept_as_far_as_they_came(tmp_path):
    def paint():
        yield png(b"1")
        raise RuntimeError("no paint left")

    made, run = record(tmp_path, images=paint())
    assert (len(made.outputs), run.status) == (1, "partial")
    assert "no paint left" in run.metadata.unrecorded[0].reason


def test_something_without_end_ends(tmp_path):
    made, run = record(tmp_path, images=itertools.count())
    assert (made.outputs, run.status) == ((), "partial")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"settings": {"steps": "many"}}, "requested.steps: many"),
        ({"images": ["gone.png"]}, r"images\[0\]: .*No such file"),
        ({"images": None}, r"images\[0\]"),
        ({"step": 30}, "step: 30"),
        ({"prompt": 7}, "prompt: 7"),
    ],
)
def test_strict_names_the_argument_that_does_not_fit(tmp_path, fields, named):
    with RunRecorder(tmp_path / "runs", strict=True) as run, pytest.raises(InvalidDocument, match=named):
        run.record_variant(**{"prompt": "a quay", "images": [png()], **fields})


@pytest.mark.parametrize(
    "options",
    [
        {"learning_tags": ["", "x" * 300, None, "kept", 5]},
        {"learning_tags": "kept"},
        {"correlation": {"job_id": 5, "session_id": ["s"], "parent_run_id": "Not An Id"}},
        {"packs": [{"name": "Harbour"}, {}, {"id": 3, "digest": "abc"}]},
        {"config": {"a": Hostile(), "init_image": "x" * (17 << 20)}},
        {"config": "steps: 30"},
        {"name": "", "engine": 5},
        {"one_click_action": {"a": 1}},
        {"total": "four"},
    ],
)
def test_odd_facts_about_a_run_do_not_lose_it(tmp_path, options):
    with RunRecorder(tmp_path / "runs", **options) as run:
        assert run.record_variant(prompt="a quay", images=[png()]) is not None
    assert run.run.status == "completed"
    assert RunVerifier(run.run, deep=True).verify().findings == ()
    if "learning_tags" in options:
        assert "kept" in run.run.metadata.learning_tags


def test_a_forgotten_with_loses_nothing_and_says_how_it_is_meant(tmp_path, caplog):
    run = RunRecorder(tmp_path / "runs")
    with caplog.at_level(logging.WARNING, "stablenew"):
        run.record_variant(prompt="a quay", images=[png()])
        run.record_variant(prompt="a pier", images=[png()])
    assert caplog.text.count("with RunRecorder(…) as run") == 1
    run.finish()
    (found,) = RunStore(tmp_path / "runs").iter_runs()
    assert (found.status, found.metadata.record_count) == ("completed", 2)
    with pytest.raises(RuntimeError, match="use `with"):
        RunRecorder(tmp_path / "runs", strict=True).record_variant(prompt="a quay", images=[png()])


def test_a_recorder_used_twice_records_two_runs_and_says_so(tmp_path, caplog):
    recorder = RunRecorder(tmp_path / "runs")
    for _ in range(2):
        with recorder as run:
            run.record_variant(prompt="a quay", images=[png()])
    assert "records one run" in caplog.text
    assert sorted(found.metadata.record_count for found in RunStore(tmp_path / "runs").iter_runs()) == [1, 1]
    strict = RunRecorder(tmp_path / "runs", strict=True)
    with strict:
        pass
    with pytest.raises(RuntimeError, match="make a new one"), strict:
        pass


def test_a_notebook_cell_that_is_run_again_records_a_run_of_its_own(tmp_path, caplog):
    for _ in range(2):
        with RunRecorder(tmp_path / "runs", run_id="my-run") as run:
            run.record_variant(prompt="a quay", images=[png()])
    assert "another run_id" in caplog.text
    assert run.run_id != "my-run"
    assert sorted(found.metadata.record_count for found in RunStore(tmp_path / "runs").iter_runs()) == [1, 1]


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.binary(max_size=30),
    st.fractions(), st.dates(), st.datetimes(), st.timedeltas(), st.complex_numbers(), st.uuids(), st.decimals(),
    st.builds(Hostile), st.just(object), st.just(Path("gone")), st.just(np.float32("nan")), st.just(Fraction(1, 3)),
)  # fmt: skip
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=6,
)
SETTINGS = st.dictionaries(st.sampled_from(["steps", "seed", "cfg", "width", "model", "sampler_name", "x"]), NESTED)
IMAGES = [png(), Image.new("CMYK", (3, 2)), RGB, GREY.astype(np.float64), io.BytesIO(png(b"2"))]


@st.composite
def arguments(draw):
    fields = draw(
        st.fixed_dictionaries(
            {},
            optional={
                name: SETTINGS | NESTED if name in {"settings", "actual", "overrides", "metrics"} else NESTED
                for name in ("prompt", "negative_prompt", "settings", "actual", "seeds", "parents", "stage", "label",
                             "overrides", "started_at", "duration_seconds", "error", "metrics", "anything_else")
            },
        )
    )  # fmt: skip
    bad = draw(st.lists(NESTED, max_size=2))
    return fields, draw(st.permutations([*draw(st.lists(st.sampled_from(IMAGES), max_size=3)), *bad]))


def check_recorded(run, fields, images):
    good = sum(any(image is known for known in IMAGES) for image in images)
    made = run.record_variant(**fields, images=images)
    assert made is not None
    assert len(made.outputs) >= good
    return len(made.outputs)


def fuzz(root, examples):
    count = 0
    with RunRecorder(root) as run:

        @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(arguments())
        def call(drawn):
            nonlocal count
            count += check_recorded(run, *drawn)

        call()
    assert run.failure is None
    assert run.run.metadata.output_count == count
    assert RunVerifier(run.run, deep=True).verify().findings == ()


EXAMPLES = by_profile(few=20, quick=100, ci=200, nightly=5_000)


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_anything_for_any_argument_is_recorded(tmp_path):
    fuzz(tmp_path / "runs", EXAMPLES)
