"""RunMetadata: each field takes what the specification allows, refuses anything else, and is written as given."""

import copy

import pytest
from pydantic import ValidationError

from stablenew.errors import InvalidDocument
from stablenew.formats.documents.run_metadata import RunMetadata, StoreMarker

DIGEST = "xxh128:" + "0" * 32
TIME = "2026-11-21T07:10:09.123Z"
LARGEST = 2**53 - 1
FULL = {
    "$schema": "x.json", "kind": "stablenew.run_metadata", "schema_version": "1.0", "run_id": "run-1",
    "created_at": TIME, "status": "completed", "source": {"name": "StableNew"},
    "correlation": {"parent_run_id": "run-0"}, "packs": [{"id": "p"}], "one_click_action": "moody",
    "learning_tags": ["a"], "config": {"steps": 3}, "config_digest": DIGEST,
    "variant_plan": {"mode": "grid", "size": 2, "combinations": 4, "seed": 1, "axes": [{"name": "x", "values": [1]}]},
    "finished_at": TIME, "duration_seconds": 1.5, "record_count": 2, "output_count": 2, "error": {"message": "m"},
    "stages": [{"name": "txt2img", "outputs": ["outputs/a.png"]}], "unrecorded": [{"index": 0, "reason": "r"}],
    "closure": {"models": [{"name": "m"}], "custom_nodes": [{"name": "n"}]},
    "held": {"file_count": 1, "size_bytes": 2}, "odd": {"seed": "x"}, "ext": {"org.example": 1},
}  # fmt: skip
NEEDED = {
    "": ["kind", "schema_version", "run_id", "created_at", "status", "source", "packs", "config", "config_digest"],
    "source": ["name"], "packs.0": ["id"], "variant_plan": ["mode", "size", "axes"],
    "variant_plan.axes.0": ["name", "values"], "error": ["message"], "stages.0": ["name", "outputs"],
    "unrecorded.0": ["index", "reason"], "closure.models.0": ["name"], "closure.custom_nodes.0": ["name"],
    "held": ["file_count", "size_bytes"],
}  # fmt: skip
TEXT = (["", "words"], [1, ["a"]])
NAME = (["a", "n" * 256], ["", "n" * 257, 1])
SLUG = (["a", "a_1", "s" * 64], ["", "A", "1a", "a-b", "a\n", "s" * 65])
RUN_ID = (["a", "r" * 64], ["", "r" * 65, "a/b", "con", "a\n", 1])
COUNT = ([0, LARGEST], [-1, LARGEST + 1, 1.5, "1", True])
SECONDS = ([0, 0.5, 1e300], [-0.1, "1", True])
WHEN = ([TIME], ["2026-11-21", "2026-02-29T07:10:09.123Z", 0])
DIGESTS = ([DIGEST, "xxh128:" + "f" * 32], ["", DIGEST[:-1], DIGEST.upper(), 0])
TAKES = {
    "$schema": TEXT, "run_id": RUN_ID, "created_at": WHEN, "status": SLUG, "config_digest": DIGESTS,
    "source.name": NAME, "correlation.parent_run_id": RUN_ID, "packs.0.id": NAME, "packs.0.name": NAME,
    "packs.0.digest": DIGESTS, "packs": ([[]], [{}, None]), "one_click_action": TEXT,
    "learning_tags": ([[], ["a"]], [[""], "a"]), "config": ([{}, {"a": [None, {}]}], [[], None, "x"]),
    "variant_plan.mode": SLUG, "variant_plan.size": COUNT, "variant_plan.limit": COUNT,
    "variant_plan.combinations": ([0, LARGEST], ["1", 0.5, LARGEST * 10**64]),
    "variant_plan.seed": ([-1, 0, str(2**64 - 1), str(-(2**60))], ["1", "x", 1.5]),
    "variant_plan.axes.0.name": NAME, "variant_plan.axes.0.values": ([[], [1, None, "a", {"b": []}]], [1, None]),
    "finished_at": WHEN, "duration_seconds": SECONDS, "record_count": COUNT, "output_count": COUNT,
    "error.message": TEXT, "error.type": TEXT, "error.stage": SLUG, "stages.0.name": SLUG,
    "stages.0.outputs": ([[], ["outputs/a.png"]], [["a.png"], ["outputs/../a"], ["/outputs/a"], ["outputs/a/b"]]),
    "unrecorded.0.index": COUNT, "unrecorded.0.image": COUNT, "unrecorded.0.reason": TEXT,
    "closure.models.0.name": NAME, "closure.models.0.kind": SLUG, "closure.models.0.size_bytes": COUNT,
    "closure.models.0.sha256": (["pending", "0" * 64], ["Pending", "0" * 63, "g" * 64, "pending\n"]),
    "closure.versions": ([{}, {"torch": "2"}], [{"torch": 2}, []]), "closure.custom_nodes.0.name": NAME,
    "closure.flags": ([[], ["--x"]], ["--x", [1]]), "held.file_count": COUNT, "held.size_bytes": COUNT,
    "odd": ([{}, {"seed": "x"}], [{"seed": 1}, []]), "ext": ([{}, {"org.example.a": [1]}], [{"Org": 1}, {"a": 1}, []]),
    **{f"source.{name}": TEXT for name in ("version", "engine", "engine_version", "engine_url", "host_id", "user_id")},
    **{f"correlation.{name}": TEXT for name in ("job_id", "session_id")},
    **{f"closure.custom_nodes.0.{name}": TEXT for name in ("commit", "version", "url")},
    **{f"closure.{name}": TEXT for name in ("device", "dtype")},
}  # fmt: skip


def part_at(document, place):
    """The object at a place of the document; `""` is the document itself."""
    for name in filter(None, place.split(".")):
        document = document[int(name) if isinstance(document, list) else name]
    return document


def changed(place, value):
    document = copy.deepcopy(FULL)
    above, _, name = place.rpartition(".")
    part_at(document, above)[name] = value
    return document


@pytest.mark.parametrize("place", TAKES)
def test_a_field_takes_what_it_may_hold_and_an_error_names_it_for_anything_else(place):
    good, bad = TAKES[place]
    for value in good:
        assert RunMetadata.from_dict(changed(place, value)).to_dict() == changed(place, value)
    for value in bad:
        with pytest.raises(InvalidDocument, match=rf"{place.replace('$', '[$]')}\b"):
            RunMetadata.from_dict(changed(place, value))


@pytest.mark.parametrize(("place", "name"), [(place, name) for place, names in NEEDED.items() for name in names])
def test_what_it_needs_is_missed_by_name(place, name):
    document = copy.deepcopy(FULL)
    del part_at(document, place)[name]
    with pytest.raises(InvalidDocument, match=name):
        RunMetadata.from_dict(document)


@pytest.mark.parametrize("place", [*NEEDED, "correlation", "closure"])
def test_it_needs_nothing_else(place):
    document = copy.deepcopy(FULL)
    part = part_at(document, place)
    for name in part.keys() - set(NEEDED.get(place, [])):
        del part[name]
    assert RunMetadata.from_dict(document).to_dict() == document


def test_numbers_may_be_written_as_other_programs_do_and_large_ones_are_texts():
    found = RunMetadata.from_dict(changed("record_count", 2.0))
    assert (found.record_count, type(found.record_count)) == (2, int)
    assert RunMetadata.from_dict(changed("variant_plan.seed", 3.0)).variant_plan.seed == 3
    large = RunMetadata.from_dict(changed("variant_plan.seed", str(2**64 - 1)))
    assert large.variant_plan.seed == 2**64 - 1
    assert large.to_dict()["variant_plan"]["seed"] == str(2**64 - 1)


def test_nobody_changes_it_by_what_it_was_built_of():
    given = copy.deepcopy(FULL)
    found = RunMetadata.from_dict(given)
    given["config"]["steps"] = 99
    given["variant_plan"]["axes"][0]["values"].append(2)
    assert found.to_dict() == FULL
    with pytest.raises(ValidationError):
        found.status = "failed"


def test_only_its_own_kind_is_read():
    for model, other in ((RunMetadata, "stablenew.store"), (StoreMarker, "stablenew.run_metadata")):
        with pytest.raises(InvalidDocument, match="kind"):
            model.from_dict({**FULL, "kind": other})
    marker = {"kind": "stablenew.store", "schema_version": "1.0"}
    assert StoreMarker().to_dict() == StoreMarker.from_dict(marker).to_dict() == marker
    with pytest.raises(InvalidDocument, match="ext"):
        StoreMarker.from_dict({**marker, "ext": {"a": 1}})
