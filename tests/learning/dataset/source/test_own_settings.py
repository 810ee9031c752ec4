"""Settings and metrics outside the table: found by counting keys, and equal to what a full parse finds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.learning.dataset.source.json_tables import parse_records
from stablenew.learning.dataset.source.own_settings import (
    add_own_settings,
    has_own_names,
    parse_own_settings,
    read_own_settings,
)
from tests import samples

texts = st.text(st.sampled_from('ab"\\}{:, \té'), max_size=6)
scalars = st.one_of(st.integers(-5, 2**40), st.floats(-9, 9), texts, st.booleans())
known = st.fixed_dictionaries({}, optional={"steps": st.integers(1, 50), "sampler": texts, "eta": st.floats(0, 1)})
own = st.dictionaries(st.sampled_from(["guidance_rescale", "cfg", "a b", 'q"', "ätt", "}"]), scalars, max_size=2)
records = st.lists(
    st.builds(
        lambda requested, actual, overrides, metrics, spaced: (requested, actual, overrides, metrics, spaced),
        st.tuples(known, own),
        st.none() | st.tuples(known, own),
        st.dictionaries(st.sampled_from(["txt2img.steps", "txt2img.hr_scale", "extra", "x}"]), st.integers(1, 9)),
        st.none() | st.dictionaries(st.sampled_from(["aesthetic", "s"]), st.floats(-5, 5), max_size=1),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


def line(requested, actual, overrides, metrics, spaced):
    record = samples.record("one", 0, []).to_dict()
    record["requested"] = requested[0] | requested[1]
    record["variant"]["overrides"] = overrides
    if actual is not None:
        record["actual"] = actual[0] | actual[1]
    if metrics is not None:
        record["metrics"] = [{"metric": name, "value": value} for name, value in metrics.items()]
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(record, separators=separators, ensure_ascii=False).encode() + b"\n"


@given(records)
def test_nothing_is_missed_by_counting_keys(given_records):
    data = b"".join(line(*record) for record in given_records)
    try:
        table = parse_records(data)
    except ValueError:
        return  # left to the strict readers
    found = parse_own_settings(data)
    assert has_own_names(data, table) or not any(any(one_record) for one_record in found)
    filled = add_own_settings(table, found)
    for number, row in enumerate(filled.to_pylist()):
        names = {entry["name"]: json.loads(entry["value"]) for entry in row["settings"] or ()}
        record = json.loads(data.splitlines()[number])
        asked = record["requested"] | record.get("actual", {})
        for name in ("guidance_rescale", "a b", 'q"', "ätt", "}"):
            assert names.get(name) == asked.get(name)


def test_plain_records_are_not_parsed_again():
    data = samples.record(
        "one", 0, [], requested={"steps": 20, "sampler": "Euler", "seed": str(2**64 - 1)}
    ).encode_line()
    assert not has_own_names(data + b"\n", parse_records(data + b"\n"))


@pytest.mark.parametrize(
    ("requested", "filled", "own"),
    [
        ({"guidance_scale": 7}, {"cfg_scale": 7.0}, {}),
        ({"guidance_scale": 7, "cfg_scale": 7}, {"cfg_scale": 7.0}, {}),
        ({"guidance_scale": 9, "cfg_scale": 7}, {"cfg_scale": 7.0}, {"guidance_scale": 9}),
        ({"guidance_scale": "high"}, {}, {"guidance_scale": "high"}),
        ({"num_inference_steps": 30, "eta": 0.5}, {"steps": 30, "eta": 0.5}, {}),
        ({"rescale": 0.7, "tiled": True, "nested": {"a": 1}, "nothing": None}, {}, {"rescale": 0.7, "tiled": True}),
    ],
)
def test_aliases_are_standard_names_and_the_rest_keeps_its_own(requested, filled, own):
    record = {"requested": requested}
    found = read_own_settings(record)
    data = json.dumps(samples.record("one", 0, []).to_dict() | record, separators=(",", ":")).encode() + b"\n"
    row = add_own_settings(parse_records(data), [found])["requested"].to_pylist()[0]
    assert {name: value for name, value in (row or {}).items() if value is not None} == filled
    assert {name: json.loads(value) for name, value in found.settings.items()} == own


def test_what_ran_goes_before_what_was_requested_and_that_before_what_was_overridden():
    record = {
        "requested": {"rescale": 0.5},
        "actual": {"rescale": 0.25},
        "variant": {"overrides": {"txt2img.extra.rescale": 0.9, "txt2img.extra.tile": 64, "txt2img.steps": 9}},
    }
    found = read_own_settings(record)
    assert found.settings == {"rescale": "0.25", "tile": "64"}
    assert found.requested == {"rescale": "0.5", "tile": "64"}
