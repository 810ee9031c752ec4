"""RunMetadata: each field takes what the specification allows, refuses anything else, and is written as given."""

import copy

import pytest
from pydantic import ValidationError

from stablenew.errors import InvalidDocument
from stablenew.formats.documents.run_metadata import RunMetadata, StoreMarker
from tests.formats.documents.field_contract import (
    COUNT,
    DIGEST,
    DIGESTS,
    EXTENSIONS,
    LARGEST,
    NAME,
    NAMES,
    RUN_ID,
    SECONDS,
    SEED,
    SLUG,
    TEXT,
    TEXTS,
    TIME,
    WHEN,
    FieldContract,
)

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
    "held": ["file_count", "size_bytes"], "correlation": [], "closure": [],
}  # fmt: skip
TAKES = {
    "$schema": TEXT, "run_id": RUN_ID, "created_at": WHEN, "status": SLUG, "config_digest": DIGESTS,
    "source.name": NAME, "correlation.parent_run_id": RUN_ID, "packs.0.id": NAME, "packs.0.name": NAME,
    "packs.0.digest": DIGESTS, "packs": ([[]], [{}, None]), "one_click_action": TEXT,
    "learning_tags": NAMES, "config": ([{}, {"a": [None, {}]}], [[], None, "x"]),
    "variant_plan.mode": SLUG, "variant_plan.size": COUNT, "variant_plan.limit": COUNT,
    "variant_plan.combinations": ([0, LARGEST], ["1", 0.5, LARGEST * 10**64]),
    "variant_plan.seed": SEED,
    "variant_plan.axes.0.name": NAME, "variant_plan.axes.0.values": ([[], [1, None, "a", {"b": []}]], [1, None]),
    "finished_at": WHEN, "duration_seconds": SECONDS, "record_count": COUNT, "output_count": COUNT,
    "error.message": TEXT, "error.type": TEXT, "error.stage": SLUG, "stages.0.name": SLUG,
    "stages.0.outputs": ([[], ["outputs/a.png"]], [["a.png"], ["outputs/../a"], ["/outputs/a"], ["outputs/a/b"]]),
    "unrecorded.0.index": COUNT, "unrecorded.0.image": COUNT, "unrecorded.0.reason": TEXT,
    "closure.models.0.name": NAME, "closure.models.0.kind": SLUG, "closure.models.0.size_bytes": COUNT,
    "closure.models.0.sha256": (["pending", "0" * 64], ["Pending", "0" * 63, "g" * 64, "pending\n"]),
    "closure.versions": ([{}, {"torch": "2"}], [{"torch": 2}, []]), "closure.custom_nodes.0.name": NAME,
    "closure.flags": ([[], ["--x"]], ["--x", [1]]), "held.file_count": COUNT, "held.size_bytes": COUNT,
    "odd": TEXTS, "ext": EXTENSIONS,
    **{f"source.{name}": TEXT for name in ("version", "engine", "engine_version", "engine_url", "host_id", "user_id")},
    **{f"correlation.{name}": TEXT for name in ("job_id", "session_id")},
    **{f"closure.custom_nodes.0.{name}": TEXT for name in ("commit", "version", "url")},
    **{f"closure.{name}": TEXT for name in ("device", "dtype")},
}  # fmt: skip


class TestEveryField(FieldContract):
    model, full, takes, needed = RunMetadata, FULL, TAKES, NEEDED


def changed(place, value):
    return TestEveryField().changed(place, value)


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
