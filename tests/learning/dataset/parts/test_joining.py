"""The kernel gives the rows that the strict readers would give, only faster."""

import copy
import json
import random

import pytest

from stablenew import FeedbackManager, LearningRecord, RunMetadata
from stablenew.errors import FormatError
from stablenew.formats.digest import digest_json, is_digest
from stablenew.formats.documents.feedback import build_event
from stablenew.formats.output_path import is_output_path
from stablenew.learning.dataset.columns import IMAGES_SCHEMA
from stablenew.learning.dataset.parts.joining import build_part
from stablenew.learning.dataset.source import run_tables
from stablenew.learning.dataset.source.run_source import LeftOut, LocalSource, RunFiles
from stablenew.recording.image_content import build_image
from stablenew.store.feedback.feedback_log import FeedbackLog
from tests import samples
from tests.index.stores import make_store
from tests.mutations import mutated
from tests.profiles import by_profile


def read_all(store):
    source = LocalSource(store.root)
    return [source.read(run_id) for run_id in sorted(source.signatures())]


def strictly(monkeypatch, runs):
    def refuse(_runs):
        raise ValueError

    with monkeypatch.context() as patch:
        patch.setattr(run_tables, "_read_together", refuse)
        patch.setattr("stablenew.learning.dataset.source.opinion_table.read_events", lambda *_: refuse(None))
        return build_part(runs)


def same(one, other):
    assert one.images.equals(other.images)
    assert one.preferences.equals(other.preferences)
    assert one.runs.equals(other.runs)
    assert one.problems == other.problems


def left_out_of(part):
    return [one for one in part.runs.to_pylist() if one["left_out"]]


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(by_profile(few=2, quick=3, ci=3, nightly=12)))
def test_all_together_is_what_the_strict_readers_give_one_by_one(tmp_path, monkeypatch, seed):
    runs = read_all(make_store(tmp_path / "runs", seed))
    together = build_part(runs)
    same(together, strictly(monkeypatch, runs))
    assert len(together.images) > 10
    assert left_out_of(together)


def test_a_line_longer_than_what_is_parsed_at_once_is_read_as_any_other(store):
    for number, prompt in enumerate(["short", "harbour " * 400_000, "short too"]):
        run_id = f"run-{number}"
        writer = store.create(samples.metadata(run_id))
        image = build_image(samples.png(run_id.encode()), variant=0, stage="txt2img", number=0)
        writer.write_output(image.data, variant=0, stage="txt2img", number=0, media_type="image/png")
        writer.append_record(samples.record(run_id, 0, [image.reference], prompt={"positive": prompt}))
        writer.seal(samples.metadata(run_id, status="completed", record_count=1))
    part = build_part(read_all(store))
    assert [len(prompt) for prompt in part.images["prompt"].to_pylist()] == [5, 3_200_000, 9]
    assert part.problems == left_out_of(part) == []


@pytest.mark.parametrize("sampler", ["Euler a", "odd}name", "odd{name", 'odd"}name', "odd\\}", "}", '"'])
def test_what_a_variant_overrides_is_found_whatever_stands_before_it(store, sampler):
    writer = store.create(samples.metadata())
    image = build_image(samples.png(), variant=0, stage="txt2img", number=0)
    writer.write_output(image.data, variant=0, stage="txt2img", number=0, media_type="image/png")
    overrides = {"txt2img.sampler": sampler, "txt2img.hr_scale": 1.75}
    variant = {"index": 0, "total": 1, "mode": "fanout", "overrides": overrides}
    writer.append_record(samples.record("sample-run", 0, [image.reference], variant=variant))
    writer.seal(samples.metadata(status="completed", record_count=1))
    assert build_part(read_all(store)).images["txt2img_hr_scale"].to_pylist() == [1.75]


def test_a_row_holds_what_the_documents_say(store):
    settings = {"txt2img": {"steps": 20, "enable_hr": True, "hr_scale": 1.5}, "upscale": {"factor": 2, "steps": 9}}
    prompt = {
        "positive": "a quiet harbour",
        "negative": "blurry",
        "pack_id": "harbour",
        "loras": [{"name": "ink", "weight": 0.5}],
    }
    fields = {
        "source": {"name": "StableNew", "engine": "webui", "host_id": "desk"},
        "packs": [{"id": "harbour"}, {"id": "boats"}],
        "correlation": {"job_id": "job-7"},
        "learning_tags": ["experiment:steps"],
        "config": settings,
        "variant_plan": {"mode": "fanout", "size": 2, "axes": []},
    }
    writer = store.create(samples.metadata("one", **fields))
    image = samples.build_image(samples.png(b"one"), variant=0, stage="txt2img", number=0)
    writer.write_output(image.data, variant=0, stage="txt2img", number=0, media_type="image/png")
    output = image.reference.model_copy(update={"role": "final", "seed": 2**64 - 1, "parents": (samples.digest_of(1),)})
    variant = {"index": 0, "total": 2, "label": "[time]=dawn", "overrides": {"upscale.factor": 4.0}}
    requested = {"steps": 20, "sampler": "Euler", "seed": -1, "cfg_scale": 7}
    actual = {"steps": 25, "seed": str(2**64 - 1)}
    writer.append_record(
        samples.record(
            "one", 0, [output], variant=variant, prompt=prompt, requested=requested, actual=actual, duration_seconds=2
        )
    )
    writer.seal(samples.metadata("one", **fields, status="completed", record_count=1, output_count=1))
    for rater, stars in (("alice", 4), ("bob", 1)):
        manager = FeedbackManager(store, rater=rater)
        manager.record_feedback("one", "0/0", stars, tags=[rater], notes="hands", flag="pick")
    FeedbackManager(store, rater="bob").record_feedback("one", None, 3)
    part = build_part(read_all(store))
    (row,) = part.images.to_pylist()
    expected = {
        "run_id": "one", "run_status": "completed", "engine": "webui", "host_id": "desk", "job_id": "job-7",
        "packs": ["harbour", "boats"], "learning_tags": ["experiment:steps"], "plan_mode": "fanout", "plan_size": 2,
        "variant": 0, "variant_label": "[time]=dawn", "duration_seconds": 2.0, "prompt": "a quiet harbour",
        "negative_prompt": "blurry", "pack_id": "harbour", "loras": [{"name": "ink", "weight": 0.5}],
        "steps": 25, "requested_steps": 20, "sampler": "Euler", "seed": 2**64 - 1, "requested_seed": None,
        "cfg_scale": 7.0, "is_reported": True, "txt2img_enable_hr": True, "txt2img_hr_scale": 1.5,
        "upscale_factor": 4.0, "upscale_steps": 9, "image_id": output.digest, "path": output.path, "role": "final",
        "image_seed": 2**64 - 1, "parents": [samples.digest_of(1)], "rating": 2.5, "rating_count": 2,
        "tags": ["alice", "bob"], "pick_count": 2, "reject_count": 0, "notes": ["hands", "hands"],
        "job_rating": 3.0, "job_rating_count": 1, "split": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert [(one["rater"], one["rating"]) for one in row["ratings"]] == [("alice", 4), ("bob", 1)]
    assert part.images.schema.equals(IMAGES_SCHEMA)


def test_comparisons_are_counted_and_listed(store):
    run = samples.sealed_run(store, "one", variants=3)
    digests = [output.digest for _, output in run.iter_outputs()]
    manager = FeedbackManager(store, rater="alice")
    manager.record_preference("one", digests[0], digests[1])
    manager.record_preference("one", digests[0], digests[2], outcome="tie")
    part = build_part(read_all(store))
    counts = [(row["win_count"], row["loss_count"], row["tie_count"]) for row in part.images.to_pylist()]
    assert counts == [(1, 0, 1), (0, 1, 0), (0, 0, 1)]
    assert [(one["winner"], one["outcome"]) for one in part.preferences.to_pylist()] == [
        (digests[0], "win"),
        (digests[0], "tie"),
    ]


def test_opinions_on_images_that_no_record_names_are_counted(store):
    samples.sealed_run(store, "one", variants=1)
    log = FeedbackLog(store.root / "one", replica="other")
    with log.writing() as reading:
        clock = "2026-11-21T08:00:00.000Z-0000"
        fields = {"image_id": samples.digest_of(99), "rating": 3}
        log.append(reading, [build_event(clock=clock, replica="other", rater="alice", op="rate", **fields)])
    (run,) = build_part(read_all(store)).runs.to_pylist()
    assert (run["event_count"], run["lost_opinion_count"], run["rated_image_count"]) == (1, 1, 0)


def documents(store):
    """Metadata and records of whole runs, as JSON."""
    for run in read_all(store):
        if isinstance(run, RunFiles) and run.records:
            lines = [json.loads(line) for line in run.records.rstrip(b"\n").split(b"\n")]
            yield run, json.loads(run.metadata), lines


def is_valid(metadata, records, run_id):
    try:
        one = RunMetadata.from_json(json.dumps(metadata))
        return one.run_id == run_id and all(LearningRecord.from_json(json.dumps(r)).run_id == run_id for r in records)
    except FormatError:
        return False


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(by_profile(few=2, quick=3, ci=4, nightly=20)))
def test_documents_changed_in_nasty_ways_give_the_same_rows_or_are_named(tmp_path, monkeypatch, seed):
    """Whatever the strict readers accept, the quick ones read alike; whatever they let through is usable."""
    chance = random.Random(seed)
    bases = list(documents(make_store(tmp_path / "runs", seed, count=25)))
    runs = []
    for number in range(120):
        run, metadata, records = copy.deepcopy(chance.choice(bases))
        if chance.random() < 0.5:
            metadata = mutated(metadata, chance)
        else:
            records = [mutated(record, chance) for record in records]
        lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        runs.append((run._replace(metadata=json.dumps(metadata).encode(), records=lines), metadata, records, number))
    quick = build_part([run for run, *_ in runs])
    for row in quick.images.select(["image_id", "path", "size_bytes", "stage"]).to_pylist():
        assert is_digest(row["image_id"])
        assert is_output_path(row["path"])
        assert row["size_bytes"] >= 0
        assert row["stage"]
    accepted = 0
    for run, metadata, records, _ in runs:
        if is_valid(metadata, records, run.run_id):
            accepted += 1
            same(build_part([run]), strictly(monkeypatch, [run]))
    assert 10 < accepted < 110
    assert left_out_of(quick)
    assert quick.problems


@pytest.mark.heavy
def test_one_bad_run_hides_no_other(tmp_path, monkeypatch):
    runs = read_all(make_store(tmp_path / "runs", 3))
    good = [run for run in runs if isinstance(run, RunFiles)]
    bad = good[4]._replace(metadata=b'{"kind": "stablenew.run_metadata", "schema_version": "1.0"}')
    worse = good[7]._replace(records=good[7].records + b"not json\n" + b'{"kind":"torn')
    part = build_part([*good[:4], bad, *good[5:7], worse, *good[8:]])
    expected = build_part([run for run in good if run.run_id != bad.run_id])
    assert part.images.equals(expected.images)
    (left_out,) = left_out_of(part)
    assert left_out["run_id"] == bad.run_id
    named = [(one.run_id, one.line is not None) for one in part.problems if one.run_id == worse.run_id]
    assert named[-2:] == [(worse.run_id, True)] * 2


@pytest.mark.parametrize("seed", ["--5", "9" * 5_000])
def test_a_text_in_place_of_a_seed_hides_no_run(store, seed):
    config = {"txt2img": {"steps": 30}, "img2img": {"seed": seed}}
    samples.sealed_run(store, "odd", config=config, config_digest=digest_json(config))
    samples.sealed_run(store, "plain")
    images = build_part(read_all(store)).images
    assert images["run_id"].to_pylist() == ["odd"] * 2 + ["plain"] * 2
    assert images["img2img_seed"].null_count == 4


def test_what_is_no_whole_sealed_run_is_left_out_with_the_reason(store):
    samples.sealed_run(store, "damaged", variants=1)
    records = store.root / "damaged" / "records.jsonl"
    records.chmod(0o644)
    records.write_bytes(records.read_bytes().replace(b"completed", b"compleTed"))
    writer = store.create(samples.metadata("running"))
    samples.write_variant(writer, 0)
    samples.sealed_run(store, "half", variants=1)
    (store.root / "half" / "records.jsonl").unlink()
    found = {one.run_id: one.reason for one in read_all(store) if isinstance(one, LeftOut)}
    assert found == {"damaged": "damaged", "running": store.open("running").state, "half": "incomplete"}
    assert found["running"] == "running"
    writer.abandon()
