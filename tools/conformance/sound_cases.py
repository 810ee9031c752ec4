"""Stores of the suite in which nothing is wrong: a case for each feature of the format."""

import json
from pathlib import Path
from typing import Any, Final

from tools.conformance.kit import (
    FINISHED,
    OTHER_RUN,
    Case,
    append,
    begin,
    change_json,
    change_records,
    held,
    images_of,
    picture,
    plain_run,
    record,
    say,
    seal,
    seal_again,
)

from stablenew.formats.digest import digest_bytes
from stablenew.formats.strict_json import encode_json
from stablenew.recording.image_content import build_image
from stablenew.store.run_folder import METADATA, RECORDS
from stablenew.store.upkeep.run_repair import repair_run

NUMBERS: Final = (1e-7, 2.5e-06, 1.2345678901234567e-05, 1.2345678901234568e20, 5e-324, 1.5e300, -0.0, 0.1, 2**53 - 1)
_LENGTHS: Final = (0, 1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 1024, 1025, 5000)
"""Where XXH3-128 changes its way."""


def _two_variants(root: Path) -> None:
    plain_run(root)


def _stages(root: Path) -> None:
    writer = begin(root)
    for index in (0, 1):
        small = held(writer, picture(index), index, role="intermediate")
        large = held(writer, picture(index, 8, 6), index, "upscale", parents=[small["digest"]])
        append(writer, record(index, outputs=[small, large]))
    seal(writer)


def _failures(root: Path) -> None:
    writer = begin(root, variant_plan={"mode": "fanout", "size": 4, "axes": []})
    append(
        writer,
        record(0, outputs=[held(writer, picture(1))]),
        record(1, status="failed", error={"message": "out of memory", "type": "EngineError"}, actual=None),
        record(2, status="cancelled", actual=None),
    )
    seal(writer, "partial", unrecorded=[{"index": 3, "reason": "No space left on device"}])
    other = begin(root, OTHER_RUN)
    seal(other, "failed", error={"message": "the server does not answer"})


def _never_ended(root: Path) -> None:
    writer = begin(root)
    append(writer, record(0, outputs=[held(writer, picture(1))]))
    held(writer, picture(2), 1)
    with (writer.path / RECORDS).open("ab") as file:
        file.write(encode_json(record(1))[:-40])
    (writer.path / "outputs" / ".0002-txt2img-0.0123456789ab.png.0a1b2c3d.tmp").write_bytes(picture(3)[:20])
    writer.abandon()
    begin(root, OTHER_RUN).abandon()


def _repaired(root: Path) -> None:
    writer = begin(root)
    append(writer, record(0, outputs=[held(writer, picture(1))]))
    held(writer, picture(2), 1)
    with (writer.path / RECORDS).open("ab") as file:
        file.write(b'{"kind":"stablenew.learning_re')
    writer.abandon()
    repair_run(writer.run, force=True)
    change_json(writer.path / METADATA, lambda fields: fields | {"finished_at": FINISHED})
    seal_again(writer.path)


def _odd_values(root: Path) -> None:
    config = {"txt2img": {"steps": 20.0, "\ue000": 1, "\U0001f600": 1e21, "numbers": list(NUMBERS)}}
    writer = begin(root, "odd-values", config=config)
    prompts = [
        "line one\u2028still line one",
        "caf\u00e9 \U0001f3a8 \x7f",
        'quote " backslash \\ tab \t newline \n end',
        "",
    ]
    for index, prompt in enumerate(prompts):
        fields: dict[str, Any] = {
            "prompt": {"positive": prompt, "loras": [{"name": "ink", "weight": -0.5}]},
            "requested": {"steps": 20, "cfg_scale": 7, "seed": "18446744073709551615", "hires_upscaler": "Latent"},
            "actual": {"seed": 2**53 - 1, "own": [1, {"deep": None}], "flag": True},
            "given_names": {"guidance_scale": "cfg_scale"},
            "odd": {"requested.clip_skip": "two"},
            "ext": {"org.example.farm": {"gpu": 1}},
        }
        append(writer, record(index, run_id="odd-values", outputs=[held(writer, picture(index), index)], **fields))
    run = seal(writer, config=config)
    first, second = images_of(run)[:2]
    for tag in ("\U0001f600", "\ue000", "zebra", "apple", "\u00e9"):
        say(run, "tag", image_id=first, tag=tag, present=True, rater="__proto__")
    say(run, "rate", image_id=first, rating=0, rater="constructor")
    say(run, "note", image_id=second, note_id="\U0001f600", text="after U+E000")
    say(run, "note", image_id=second, note_id="\ue000", text="")


def _closure(root: Path) -> None:
    models = [
        {"name": "landscape.safetensors", "kind": "checkpoint", "sha256": "ab" * 32, "size_bytes": 1234},
        {"name": "ink.safetensors", "kind": "lora", "sha256": "pending"},
    ]
    nodes = [{"name": "impact-pack", "commit": "0123abc", "url": "https://example.org/impact-pack"}]
    closure = {
        "models": models,
        "versions": {"python": "3.12.3"},
        "custom_nodes": nodes,
        "device": "cpu",
        "flags": ["--cpu"],
    }
    plain_run(root, closure=closure, correlation={"parent_run_id": OTHER_RUN, "job_id": "job-7"})


def _imported(root: Path) -> None:
    writer = begin(root)
    raw = json.dumps({"prompt": "x" * 5000}).encode()
    text = held(writer, raw, 0, "import")
    for index in (0, 1):
        origin = {"root": "pictures", "path": f"2024/m\u00fcnchen {index}.png", "name": f"m\u00fcnchen {index}.png"}
        reference = build_image(picture(index), variant=index, stage="txt2img", number=0).reference.to_dict()
        place = {"path": None, "origin": origin, "sha256": f"{index}" * 64, "role": "final"}
        source = {"tool": "a1111", "reader": "infotext", "reader_version": "1"}
        raws = {"raw": "a lighthouse\nSteps: 20"} if index else {"raw_path": text["path"]}
        append(writer, record(index, outputs=[reference | place], reconstructed=source | raws))
    seal(writer)


def _later_minor(root: Path) -> None:
    run = plain_run(root)
    later = {"schema_version": "1.7", "mood": {"calm": True}}

    def renew(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        outputs = [[output | {"heat": 0.5} for output in fields["outputs"]] for fields in records]
        words = later | {"status": "completed_elsewhere"}
        return [fields | words | {"outputs": found} for fields, found in zip(records, outputs, strict=True)]

    change_json(run / METADATA, lambda fields: fields | later)
    change_records(run, renew)
    say(run, "sparkle", image_id=images_of(run)[0], strength=3)
    say(run, "rate", image_id=images_of(run)[0], rating=4, mood="calm")
    change_json(run / "feedback.json", lambda fields: fields | {"schema_version": "1.9", "extra": [1]})
    marker = {"schema_version": "1.12", "later": 1}
    change_json(root / ".stablenew" / "store.json", lambda fields: fields | marker)


def _names(root: Path) -> None:
    plain_run(root, "my-harbour")
    plain_run(root, "a")
    plain_run(root, "under_score-9")
    (root / "20261121-071009-124-k3v9q2m4xw").mkdir()
    for name in ("notes", "con", "upper-Case", "trailing-"):
        (root / name).mkdir()
    (root / "notes" / "todo.txt").write_text("buy paper\n")
    (root / "con" / RECORDS).write_bytes(b"")


def _hash_lengths(root: Path) -> None:
    writer = begin(root)
    outputs = []
    for number, length in enumerate(_LENGTHS):
        data = bytes((place * 131 + length) % 251 for place in range(length))
        stored = writer.write_output(
            data, variant=0, stage="txt2img", number=number, media_type="application/octet-stream"
        )
        digest = digest_bytes(data)
        fields = {"path": stored.path, "digest": digest, "sha256": stored.sha256, "size_bytes": length}
        outputs.append(fields | {"media_type": "application/octet-stream", "stage": "txt2img", "role": "final"})
    append(writer, record(0, outputs=outputs))
    seal(writer)


def _marker_missing(root: Path) -> None:
    plain_run(root)
    (root / ".stablenew" / "store.json").unlink()
    for path in (root / ".stablenew" / "schemas" / "v1").iterdir():
        path.unlink()


SOUND: Final = (
    Case("two-variants", "A sealed run of two variants.", _two_variants),
    Case(
        "stages", "Two stages; the outputs of the first are intermediate, and parents of those of the second.", _stages
    ),
    Case("failures", "A failed, a cancelled and an unrecorded variant; a run that failed before its first.", _failures),
    Case(
        "never-ended",
        "No seal: a torn line, an output without a record, a temporary file; and a run without records.",
        _never_ended,
    ),
    Case("repaired", "A run that was cut off and sealed as interrupted.", _repaired),
    Case(
        "odd-values",
        "Line separators, emoji, quotes, large integers, own settings, raters named like prototypes, the order.",
        _odd_values,
    ),
    Case("closure", "What a rerun depends on, and the run that this one runs again.", _closure),
    Case("imported", "Images in place, with metadata in the record and in a file of the run.", _imported),
    Case(
        "later-minor",
        "Documents of later minor versions, with fields, words and ops that nobody knows yet.",
        _later_minor,
    ),
    Case("names", "Chosen run ids; folders that are no runs, and one that is a run by its name alone.", _names),
    Case("hash-lengths", "Outputs of the lengths at which XXH3-128 changes its way.", _hash_lengths),
    Case("marker-missing", "A store without a marker and schemas.", _marker_missing),
)
