"""The record of an image that was found: whatever its metadata says, the record is valid and nothing of it is lost."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.image_metadata.containers.container import EmbeddedText
from stablenew.image_metadata.metadata import Generation, ImageMetadata, InputImage, Lora
from stablenew.importing.file_reading import ReadFile
from stablenew.importing.folder_walk import FoundFile, path_of
from stablenew.importing.record_building import build_record, engine_name, made_at, raw_text, timestamp_of
from tests import samples

DIGEST = samples.digest_of(1)
MODIFIED_NS = 1_700_000_000_123_456_789
MODIFIED = "2023-11-14T22:13:20.123Z"
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
ANY_NUMBER = st.integers() | st.floats() | st.sampled_from([2**63, 2**64, -1, 2**200])
GENERATIONS = st.builds(
    Generation,
    tool=st.none() | ANY_TEXT,
    prompt=st.none() | ANY_TEXT,
    negative_prompt=st.none() | ANY_TEXT,
    settings=st.dictionaries(
        st.sampled_from(["seed", "steps", "cfg_scale", "model", "width", "sampler", "s_churn"]) | ANY_TEXT,
        ANY_TEXT | ANY_NUMBER | st.booleans(),
        max_size=4,
    ),
    loras=st.lists(st.builds(Lora, ANY_TEXT, st.none() | st.floats() | st.integers()), max_size=2).map(tuple),
    embeddings=st.lists(ANY_TEXT, max_size=2).map(tuple),
    made_at=st.none() | ANY_TEXT,
)


def read_file(generation=None, *, raw=(), path="folder/a.png", modified_ns=MODIFIED_NS, **fields):
    given = {"media_type": "image/png", "width": 64, "height": 48, "reader": "a1111" if generation else None}
    metadata = ImageMetadata(raw=tuple(raw), generation=generation or Generation(), **given | fields)
    return ReadFile(FoundFile(path, 1234, modified_ns), DIGEST, "0" * 64, metadata)


def record_of(read, **options):
    given = {"run_id": "r", "index": 3, "total": 7, "root_id": "root", "source": {"name": "x"}, "raw_path": None}
    return build_record(read, **given | options)


@given(GENERATIONS, st.none() | st.integers(1, 10**9))
def test_whatever_metadata_says_the_image_is_recorded_with_its_prompt(generation, width):
    record = record_of(read_file(generation, width=width, raw=[EmbeddedText("tEXt", "parameters", "x")]))
    assert record.outputs[0].digest == DIGEST
    assert (record.prompt.positive == "") == (not generation.prompt)
    kept = {**(record.actual.to_dict() if record.actual else {}), **(record.odd or {})}
    names = [name.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for name in generation.settings]
    assert all(name in kept or f"actual.{name}" in kept for name in names)


def test_what_is_said_stands_where_records_have_it():
    generation = Generation(
        tool="A1111", prompt="a harbour", negative_prompt="fog", embeddings=("fine", ""),
        settings={"steps": 20, "seed": 7, "cfg_scale": 7, "model": "dream", "Hires upscale": 2, "steps_odd": "x"},
        loras=(Lora("ink", 0.5), Lora("wax"), Lora("")),
    )  # fmt: skip
    record = record_of(read_file(generation))
    assert record.prompt.to_dict() == {
        "positive": "a harbour", "negative": "fog", "embeddings": ["fine"],
        "loras": [{"name": "ink", "weight": 0.5}, {"name": "wax"}],
    }  # fmt: skip
    assert record.actual.to_dict() == generation.settings
    assert record.requested.to_dict() == {}
    assert (record.variant.index, record.variant.total, record.status) == (3, 7, "completed")
    assert (record.reconstructed.tool, record.reconstructed.reader) == ("A1111", "a1111")
    (output,) = record.outputs
    assert (output.seed, output.width, output.height, output.role) == (7, 64, 48, "final")
    assert (output.size_bytes, output.media_type, output.sha256) == (1234, "image/png", "0" * 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", "many"), ("steps", 1.5), ("steps", True), ("seed", "x"), ("model", 7), ("cfg_scale", "7")],
)
def test_a_setting_of_another_type_is_kept_as_text(name, value):
    record = record_of(read_file(Generation(settings={name: value, "sampler": "Euler"})))
    assert record.actual.to_dict() == {"sampler": "Euler"}
    assert record.odd == {f"actual.{name}": str(value)}


@pytest.mark.parametrize("seed", [-1, -5, 2**64, 2**200])
def test_a_seed_that_no_image_can_have_costs_neither_the_image_nor_the_prompt(seed):
    record = record_of(read_file(Generation(prompt="a harbour", settings={"seed": seed, "steps": 20})))
    assert record.prompt.positive == "a harbour"
    assert str(seed) in str(record.to_dict())


def test_the_root_and_path_of_an_image_in_place_are_its_origin():
    (output,) = record_of(read_file(path="my folder/é.png")).outputs
    assert (output.path, output.origin.root, output.origin.path) == (None, "root", "my folder/é.png")
    assert output.origin.modified_at == MODIFIED


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"a\nb.png", b"\xff/\xfe.png"])
def test_a_name_of_any_bytes_comes_back(name):
    (output,) = record_of(read_file(path=os.fsdecode(name))).outputs
    assert os.fsencode(path_of(output.origin)) == name


def test_an_image_that_the_run_holds_has_a_path_and_no_origin():
    held = f"outputs/0003-imported-0.{DIGEST[7:]}.png"
    (output,) = record_of(read_file(), held_path=held).outputs
    assert (output.path, output.origin) == (held, None)


@pytest.mark.parametrize(
    ("generation", "stage"),
    [
        (None, "imported"),
        (Generation(prompt="x"), "txt2img"),
        (Generation(input_images=(InputImage("a", "reference"),)), "txt2img"),
        (Generation(input_images=(InputImage("a", "reference"), InputImage("b", "init"))), "img2img"),
    ],
)
def test_the_stage_is_what_was_done_with_pixels(generation, stage):
    record = record_of(read_file(generation))
    assert [one.name for one in record.stages] == [record.outputs[0].stage] == [stage]


def test_an_image_without_its_size_has_none():
    (output,) = record_of(read_file(width=None)).outputs
    assert (output.width, output.height) == (None, None)


def test_short_raw_texts_stand_in_the_record_and_long_ones_in_a_file():
    raw = [EmbeddedText("tEXt", "parameters", text) for text in "ab"] + [EmbeddedText("EXIF", "x", "")]
    texts = {"tEXt:parameters": "a", "tEXt:parameters+": "b", "EXIF:x": ""}
    assert raw_text(read_file(raw=raw).metadata) == texts
    assert record_of(read_file(raw=raw)).reconstructed.raw == texts
    held = record_of(read_file(raw=raw), raw_path="outputs/x.json").reconstructed
    assert (held.raw, held.raw_path) == (None, "outputs/x.json")


def test_what_nothing_is_known_of_was_made_by_an_unknown_tool():
    made = record_of(read_file()).reconstructed
    assert (made.tool, made.reader, made.raw) == ("unknown", "none", None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2024-05-06T07:08:09.5Z", "2024-05-06T07:08:09.500Z"),
        ("2024-05-06T07:08:09+02:00", "2024-05-06T05:08:09.000Z"),
        (None, MODIFIED), ("", MODIFIED), ("yesterday", MODIFIED), ("1970-01-01T00:00:00Z", MODIFIED),
        ("1601-01-01T00:00:00Z", MODIFIED), ("9999-12-31T23:59:59-10:00", MODIFIED),
        ("3000-01-01T00:00:00Z", MODIFIED),
    ],
)  # fmt: skip
def test_an_image_was_made_when_it_says_or_when_its_file_was_changed(said, expected):
    read = read_file(Generation(made_at=said))
    assert made_at(read) == expected
    assert record_of(read).finished_at == expected


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "1970-01-01T00:00:00.000Z"), (MODIFIED_NS, MODIFIED), (-1_000_000_000, "1969-12-31T23:59:59.000Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854Z"), (10**22, "1970-01-01T00:00:00.000Z"),
        (-(10**20), "1970-01-01T00:00:00.000Z"),
    ],
)  # fmt: skip
def test_a_file_of_any_age_has_a_time(nanoseconds, expected):
    assert timestamp_of(nanoseconds) == expected


@pytest.mark.parametrize(
    ("tool", "name"),
    [("SD.Next", "sd-next"), ("Hugging Face Space", "hugging-face-space"), ("", "unknown"), ("手!", "unknown")],
)
def test_a_tool_is_named_as_queries_name_it(tool, name):
    assert engine_name(tool) == name
