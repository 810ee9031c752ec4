"""The quick reader of documents and the strict one never say different things about what the index keeps."""

import json
from pathlib import Path
from random import Random

import pytest

from stablenew import LearningRecord, RunMetadata
from stablenew.formats.strict_json import parse_json
from stablenew.index.reading.fast_document_reader import read_metadata_fast, read_record_fast
from stablenew.index.reading.run_entry import build_metadata_entry
from stablenew.index.reading.variant_entry import build_variant_entry
from tests.mutations import mutated
from tests.samples import metadata, record

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples" / "v1.0" / "valid"
KINDS = {
    "learning_record": (LearningRecord, read_record_fast, build_variant_entry),
    "run_metadata": (RunMetadata, read_metadata_fast, build_metadata_entry),
}
COUNT = 3_000


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_changed_documents_are_read_alike_or_left_to_the_strict_reader(kind):
    model, read, build = KINDS[kind]
    seeds = [path.read_bytes() for path in sorted(EXAMPLES.glob(f"{kind}.*.json"))]
    rng = Random(kind)
    both = 0
    for _ in range(COUNT):
        data = json.dumps(mutated(json.loads(rng.choice(seeds)), rng)).encode()
        try:
            strict = build(model.from_dict(parse_json(data)).to_dict())
            quick = build(read(data))
        except ValueError:
            continue
        assert quick == strict, data
        both += 1
    assert both > COUNT / 5


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_is_left_to_the_strict_reader_wherever_it_stands(word):
    line = record().encode_line()
    assert read_record_fast(line)
    with pytest.raises(ValueError, match="possibly not a number"):
        read_record_fast(line.replace(b'"stages":[]', b'"stages":[' + word.encode() + b"]"))


def test_documents_of_other_kinds_and_versions_are_left_to_the_strict_reader():
    line, document = record().encode_line(), metadata().encode_document()
    for changed in (line.replace(b'"1.0"', b'"2.0"'), document):
        with pytest.raises(ValueError, match="validation error"):
            read_record_fast(changed)
    for changed in (document.replace(b'"1.0"', b'"2.0"'), line):
        with pytest.raises(ValueError, match="validation error"):
            read_metadata_fast(changed)


def test_seeds_beyond_what_json_readers_keep_are_integers_again():
    seed = 2**64 - 1
    line = record(actual={"seed": seed}).encode_line()
    assert b'"18446744073709551615"' in line
    assert build_variant_entry(read_record_fast(line)).seed == seed


@pytest.mark.parametrize("name", ["steps", "clip_skip", "width", "height", "seed"])
def test_numbers_that_no_index_could_keep_are_left_to_the_strict_reader(name):
    line = record(actual={name: 7}).encode_line()
    assert f'"{name}":7'.encode() in line
    for number in (10**30, -(10**30), 2**53):
        with pytest.raises(ValueError, match="validation error"):
            read_record_fast(line.replace(f'"{name}":7'.encode(), f'"{name}":{number}'.encode()))


@pytest.mark.parametrize(
    ("value", "kept"),
    [([1], None), ({"a": 1}, None), ("abc", "abc"), (5, 5), (True, "true"), (1e308, 1e308)],
)
def test_settings_without_a_column_are_kept_as_far_as_they_are_scalars(value, kept):
    line = record(actual={"model_hash": "00"}).encode_line()
    changed = line.replace(b'"model_hash":"00"', b'"model_hash":' + json.dumps(value).encode())
    assert changed != line
    assert dict(build_variant_entry(read_record_fast(changed)).other_settings).get("model_hash") == kept
