"""Stores of the suite about what people said: folds, merges, scores, trash, several runs."""

import json
from pathlib import Path
from typing import Final

from tools.conformance.kit import (
    ABSENT,
    OTHER_RUN,
    RUN,
    Case,
    append,
    begin,
    change,
    change_json,
    change_records,
    held,
    images_of,
    make_event,
    picture,
    plain_run,
    record,
    say,
    seal,
    seal_again,
    write_scores,
)

from stablenew.formats.strict_json import encode_json
from stablenew.store.run_folder import RECORDS
from stablenew.store.seal import read_seal


def _every_op(root: Path) -> None:
    run = plain_run(root)
    first, second = images_of(run)
    say(run, "rate", image_id=None, rating=5)
    say(run, "rate", at=1, image_id=first, rating=4, act="a-1")
    say(run, "tag", at=1, image_id=first, tag="portrait", present=True, act="a-1")
    say(run, "rate", at=2, image_id=first, rating=3, aspect="composition")
    say(run, "rate", at=2, image_id=first, rating=2, aspect="anatomy")
    say(run, "note", at=3, image_id=first, note_id="main", text="hands wrong")
    say(run, "note", at=3, image_id=second, note_id="main", text="")
    say(run, "flag", at=4, image_id=second, flag="pick")
    say(run, "flag", at=4, image_id=first, flag="later_word", rater="ben")
    say(run, "prefer", at=5, winner=first, loser=second, outcome="win", shown="left")
    say(run, "prefer", at=6, winner=first, loser=second, outcome="tie", asked="which is brighter", repeat=1)
    say(run, "trash", at=7, image_id=second, present=True)
    say(run, "sparkle", at=8, image_id=second, tag="no tag of ours")
    say(run, "rate", at=9, image_id=ABSENT, rating=1)


def _cleared(root: Path) -> None:
    run = plain_run(root)
    first, second = images_of(run)
    for at, rating in ((0, 4), (1, None)):
        say(run, "rate", at=at, image_id=first, rating=rating)
    for at, present in ((0, True), (1, False), (2, True)):
        say(run, "tag", at=at, image_id=second, tag="keeper", present=present)
        say(run, "tag", at=at, image_id=first, tag="keeper", present=not present)
    for at, text in ((0, "old"), (1, None)):
        say(run, "note", at=at, image_id=first, note_id="main", text=text)
    for at, flag in ((0, "pick"), (1, None)):
        say(run, "flag", at=at, image_id=first, flag=flag)
    say(run, "rate", at=3, image_id=first, rating=2, aspect="composition")
    say(run, "rate", at=4, image_id=first, rating=None, aspect="composition")


def _retractions(root: Path) -> None:
    run = plain_run(root)
    first, second = images_of(run)
    rated = [say(run, "rate", at=at, image_id=first, rating=at) for at in range(4)]
    taken_back = say(run, "retract", at=10, event_ids=[rated[3].id])
    say(run, "retract", at=11, event_ids=[taken_back.id])
    say(run, "retract", at=12, event_ids=[rated[2].id], rater="ben")
    say(run, "retract", at=0, event_ids=[make_event("rate", at=20, image_id=second, rating=5).id])
    say(run, "rate", at=20, image_id=second, rating=5)
    compared = say(run, "prefer", at=13, winner=first, loser=second, outcome="win")
    say(run, "retract", at=14, event_ids=[compared.id, ABSENT])
    again = say(run, "tag", at=15, image_id=first, tag="ink", present=True)
    undone = say(run, "retract", at=16, event_ids=[again.id])
    say(run, "tag", at=17, image_id=first, tag="ink", present=True, redo_of=undone.id)


def _machines(root: Path) -> None:
    run = plain_run(root)
    first = images_of(run)[0]
    for replica in ("desk-1", "laptop", "a-b-c"):
        for rater, rating in (("anna", 3), ("ben", 5)):
            say(run, "rate", at=len(replica), image_id=first, rating=rating, replica=replica, rater=rater)
    for rating in range(6):
        say(run, "rate", at=30, image_id=first, rating=rating, rater="carol")
    (run / "feedback.json").unlink()
    say(run, "rate", clock="2024-01-01T00:00:00.000Z-0000", image_id=first, rating=5, rater="anna", via="lightroom")


def _copies(root: Path) -> None:
    run = plain_run(root)
    first = images_of(run)[0]
    names = ("feedback (1).json", "feedback.json~", "feedback.sync-conflict-20261122-081203-MFDHANR.json")
    for at, name in enumerate(names):
        say(run, "rate", at=at, image_id=first, rating=at, rater=f"rater-{at}")
        (run / "feedback.json").rename(run / name)
        (run / "feedback.desk-1.jsonl").unlink()
    say(run, "rate", at=9, image_id=first, rating=5)
    (run / "feedback.desk-1.jsonl").rename(run / "feedback.desk-1.jsonl.bak")
    for name in ("feedback.json.part", "feedback.laptop.jsonl.TMP", "feedback.json.sb-1a2b3c4d-AbCdEf"):
        (run / name).write_bytes(b"\0" * 64)
    (run / "damaged-feedback.0a1b2c3d.json").write_bytes(b"{")
    (run / "notfeedback.json").write_bytes(b"{}")


def _damaged(root: Path) -> None:
    run = plain_run(root)
    first, second = images_of(run)
    for at in range(3):
        say(run, "rate", at=at, image_id=first, rating=at)
    log = run / "feedback.desk-1.jsonl"
    forged = make_event("rate", at=5, image_id=second, rating=1).to_dict() | {"rating": 5}
    wrong = {"id": ABSENT, "clock": "now", "replica": "x", "rater": "y", "op": "rate"}
    lines = [encode_json(forged), encode_json(wrong), b"", b"not json", encode_json([1])]
    whole = make_event("rate", at=6, image_id=second, rating=2, replica="laptop").encode_line()
    change(log, lambda data: data + b"\n".join(lines) + b"\n" + whole)
    say(run, "rate", clock="2999-01-01T00:00:00.000Z-0000", image_id=second, rating=3, replica="wrong-clock")
    change_json(run / "feedback.json", lambda fields: fields | {"state": {"run": {}, "images": {}, "preferences": []}})
    document = json.loads((run / "feedback.json").read_bytes())
    (run / "feedback (other run).json").write_bytes(encode_json(document | {"run_id": OTHER_RUN}))
    broken = document | {"events": [*document["events"], wrong]}
    (run / "feedback (broken).json").write_bytes(encode_json(broken))


def _early_state(root: Path) -> None:
    run = plain_run(root)
    first, second = images_of(run)
    say(run, "rate", image_id=first, rating=4)
    say(run, "trash", at=1, image_id=second, present=True)
    low, high = sorted((first, second))
    say(run, "prefer", at=2, winner=low, loser=high, outcome="win", other_run_id=OTHER_RUN)

    def forget(fields: dict) -> dict:  # type: ignore[type-arg]
        images = {image: said for image, said in fields["state"]["images"].items() if image == first}
        preferences = [
            {k: v for k, v in said.items() if k != "other_run_id"} for said in fields["state"]["preferences"]
        ]
        return fields | {"state": {"run": {}, "images": images, "preferences": preferences}}

    change_json(run / "feedback.json", forget)


def _scores(root: Path) -> None:
    writer = begin(root)
    outputs = [held(writer, picture(number), number) for number in range(2)]
    given = [
        {"metric": "aesthetic", "value": 9.0, "scorer": "v1"},
        {"image_id": outputs[0]["digest"], "metric": "sharpness", "value": 0.25},
    ]
    append(writer, record(0, outputs=outputs[:1], metrics=given), record(1, outputs=outputs[1:], metrics=given[:1]))
    run = seal(writer)
    first, second = images_of(run)

    def batch(at: str, *scores: tuple[str | None, str, float, str | None]) -> dict[str, object]:
        named = [{"image_id": image, "metric": name, "value": value, "scorer": by} for image, name, value, by in scores]
        return {"scored_at": f"2026-11-2{at}.000Z", "scores": named}

    write_scores(run, batch("1T00:00:00", (first, "aesthetic", 5.5, "v1"), (second, "aesthetic", 4.0, "v2")))
    write_scores(run, batch("5T00:00:00", (first, "clip", 0.5, None), (None, "batch_size", 2, None)), replica="laptop")
    write_scores(run, batch("5T00:00:00", (first, "clip", 0.75, None), (second, "clip", -1.0, None)))
    write_scores(run, batch("4T00:00:00", (first, "clip", 99.0, None), (None, "sharpness", 0.5, None)))


def _damaged_scores(root: Path) -> None:
    run = plain_run(root)
    first = images_of(run)[0]
    sound = {"image_id": first, "metric": "clip", "value": 0.5}
    wrong = [{"image_id": first, "metric": "clip", "value": "high"}, {"metric": "Clip", "value": 1}]
    write_scores(
        run,
        {"scored_at": "2026-11-21T00:00:00.000Z", "scores": [*wrong, sound]},
        {"scored_at": "2026-11-22T00:00:00.000Z", "run_id": OTHER_RUN, "scores": [sound | {"value": 9}]},
        {"scored_at": "2026-11-23T00:00:00.000Z", "schema_version": "2.0", "scores": [sound | {"value": 8}]},
        {"scored_at": "yesterday", "scores": [sound | {"value": 7}]},
    )
    path = run / "metrics.desk-1.jsonl"
    change(path, lambda data: data + b'{"kind":"stablenew.metric_batch"')
    change(path, lambda data: data.replace(b'"scores"', b'"more":1,"scores"', 1))


def _trash(root: Path) -> None:
    run = plain_run(root, pictures=(1, 2, 3, 4))
    images, sums = images_of(run), read_seal(run)
    paths = [json.loads(line)["outputs"][0]["path"] for line in (run / RECORDS).read_bytes().splitlines()]
    say(run, "trash", image_id=images[0], present=True)
    say(run, "trash", at=1, image_id=images[0], present=False, rater="ben")
    say(run, "trash", image_id=images[1], present=True)
    for number in (1, 2, 3):
        path = run / paths[number]
        fields = {"digest": images[number], "sha256": sums[paths[number]], "size_bytes": path.stat().st_size}
        if number == 2:  # the tombstone of other bytes
            fields["sha256"] = "0" * 64
        removed = say(run, "remove", at=5, **fields, reason="trash was emptied")
        if number == 3:  # and one that was brought back
            say(run, "retract", at=6, event_ids=[removed.id])
        else:
            path.unlink()
    other = plain_run(root, OTHER_RUN)
    first = images_of(other)[0]
    path = other / next(name for name in sorted(read_seal(other)) if name.startswith("outputs/0000"))
    sha256 = read_seal(other)[path.relative_to(other).as_posix()]
    say(other, "remove", digest=first, sha256=sha256, size_bytes=path.stat().st_size, reason="trash was emptied")
    path.unlink()


def _across_runs(root: Path) -> None:
    ours, theirs = plain_run(root, RUN, (1, 2)), plain_run(root, OTHER_RUN, (2, 3))
    shared = images_of(ours)[1]
    say(ours, "rate", at=1, image_id=shared, rating=2)
    say(theirs, "rate", at=2, image_id=shared, rating=5)
    say(theirs, "rate", at=0, image_id=shared, rating=1, rater="ben")
    say(ours, "tag", at=1, image_id=shared, tag="keeper", present=True)
    say(theirs, "tag", at=2, image_id=shared, tag="keeper", present=False)
    say(ours, "trash", at=3, image_id=shared, present=True)
    say(theirs, "trash", at=4, image_id=shared, present=False, rater="ben")
    low, high = sorted((images_of(ours)[0], images_of(theirs)[1]))
    home, other = (ours, theirs) if low in images_of(ours) else (theirs, ours)
    say(home, "prefer", at=5, winner=high, loser=low, outcome="win", other_run_id=other.name)
    score = {"image_id": shared, "metric": "clip", "value": 0.5}
    write_scores(ours, {"scored_at": "2026-11-23T00:00:00.000Z", "scores": [score]})
    write_scores(theirs, {"scored_at": "2026-11-24T00:00:00.000Z", "scores": [score | {"value": 0.25}]})


def _later_major(root: Path) -> None:
    run = plain_run(root)
    first = images_of(run)[0]
    say(run, "rate", image_id=first, rating=4)
    change_json(run / "feedback.json", lambda fields: {"kind": fields["kind"], "schema_version": "2.0", "new": True})
    later = plain_run(root, OTHER_RUN)
    change_records(later, lambda records: [records[0], records[1] | {"schema_version": "2.0", "outputs": "elsewhere"}])
    newest = plain_run(root, "newest")
    change_json(newest / "run_metadata.json", lambda fields: {"kind": fields["kind"], "schema_version": "3.1"})
    seal_again(newest, count=False)


FEEDBACK: Final = (
    Case("every-op", "Every op once, one that nobody knows, and an image that no record has.", _every_op),
    Case(
        "cleared",
        "Ratings, tags, notes, flags and aspects that were taken away, and one tag that was given again.",
        _cleared,
    ),
    Case(
        "retractions",
        "Undo, redo, a retraction that comes first, one of another rater, one of a retraction.",
        _retractions,
    ),
    Case(
        "machines",
        "Logs of three machines without a feedback.json, equal clocks, and an event of another program.",
        _machines,
    ),
    Case("feedback-copies", "Conflict copies and backups that count, and names that do not.", _copies),
    Case(
        "feedback-damaged",
        "A forged event, lines that are none, a torn one, a clock of 2999, a stale state, another run's document.",
        _damaged,
    ),
    Case(
        "early-state", "A state written by a program that knew neither trash nor comparisons across runs.", _early_state
    ),
    Case("scores", "Scores in records and of two machines; ties, and scores of whole variants and runs.", _scores),
    Case(
        "scores-damaged",
        "Scores that are not valid beside one that is, another run's, a later version's, a torn line.",
        _damaged_scores,
    ),
    Case("trash", "Trashed images, removed outputs, a tombstone of other bytes, one that was taken back.", _trash),
    Case(
        "across-runs",
        "One image in two runs: ratings, tags, trash and scores are joined; a comparison across runs.",
        _across_runs,
    ),
    Case("later-major", "Metadata, records and feedback of later major versions.", _later_major),
)
