"""Stores of the suite in which something is wrong: each fault is a finding, and hides nothing else."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tools.conformance.kit import (
    OTHER_RUN,
    RUN,
    Case,
    append,
    begin,
    change,
    change_json,
    change_records,
    plain_run,
    record,
    say,
    seal,
    seal_again,
)

from stablenew.formats.strict_json import encode_json
from stablenew.store.run_folder import METADATA, RECORDS, SEAL

_PAIR: Final = b'"\\ud83d"'


def _outputs(root: Path) -> None:
    run = plain_run(root, pictures=(1, 2, 3, 4))
    flipped, longer, lost, _ = sorted((run / "outputs").iterdir())
    change(flipped, lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:])
    change(longer, lambda data: data + b"x")
    lost.unlink()
    change(min((plain_run(root, "only-longer") / "outputs").iterdir()), lambda data: data + b"x")
    change(min((plain_run(root, "only-shorter") / "outputs").iterdir()), lambda data: data[:-1])


def _records(root: Path) -> None:
    flipped = plain_run(root, "flipped")
    change(flipped / RECORDS, lambda data: data.replace(b"harbour 0", b"harbpur 0"))
    lost = plain_run(root, "lost-line")
    change(lost / RECORDS, lambda data: data[data.index(b"\n") + 1 :])
    torn = plain_run(root, "torn")
    change(torn / RECORDS, lambda data: data[:-9])
    (plain_run(root, "gone") / RECORDS).unlink()


def _lines(root: Path) -> None:
    """Each line of this run breaks one rule of JSON, but for the first and the last."""
    sound = encode_json(record(0))
    deepest, too_deep = (b"[" * count + b"]" * count for count in (62, 63))  # within the document and `requested`
    lines = [
        sound,
        sound.replace(b'{"kind"', b'{"kind":"x","kind"', 1),
        sound.replace(b'"steps":20', b'"steps":NaN', 1),
        sound.replace(b'"steps":20', b'"steps":1e999', 1),
        sound.replace(b'"steps":20', b'"own":9007199254740993', 1),
        sound.replace(b'"a quiet', b'"\\ud800 quiet', 1),
        sound.replace(b"quiet", b"qui\xffet", 1),
        sound.replace(b'"steps":20', b'"own":' + too_deep, 1),
        b"\xef\xbb\xbf" + sound,
        sound.replace(b'"completed"', b'"completed",', 1),
        sound.replace(b'"started_at":"2026-11-21', b'"started_at":"2026-02-30', 1),
        sound.replace(b'"cfg_scale":7.5', b'"cfg_scale":true', 1),
        b'["a list"]',
        b"",
        b" \t",
        encode_json(record(1)).replace(b'"steps":20', b'"steps":20.0,"own":' + deepest, 1) + b"\r",
    ]
    writer = begin(root)
    (writer.path / RECORDS).write_bytes(b"".join(line + b"\n" for line in lines))
    seal(writer, record_count=2, output_count=0)
    seal_again(writer.path)


def _metadata(root: Path) -> None:
    (plain_run(root, "lost") / METADATA).unlink()
    change(plain_run(root, "cut-off") / METADATA, lambda data: data[:-9])
    other = plain_run(root, "another")
    change_json(other / METADATA, lambda fields: fields | {"run_id": OTHER_RUN})
    seal_again(other)
    belongs = plain_run(root, "elsewhere")
    change_records(belongs, lambda records: [records[0], records[1] | {"run_id": OTHER_RUN}])


SEALS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _: b"",
    "cut-off": lambda data: data[:-1],
    "upper-case": lambda data: data.replace(data[:64], data[:64].upper()),
    "binary-mode": lambda data: data.replace(b"  ", b" *"),
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "twice": lambda data: data + data.splitlines(keepends=True)[0],
    "outside": lambda data: data.replace(b"outputs/", b"outputs/../outputs/"),
    "comment": lambda data: b"# sealed\n" + data,
    "unsorted": lambda data: b"".join(sorted(data.splitlines(keepends=True))),
    "short": lambda data: b"".join(data.splitlines(keepends=True)[:2]),
}


def _seals(root: Path) -> None:
    for name, edit in SEALS.items():
        change(plain_run(root, name) / SEAL, edit)


def _contradictions(root: Path) -> None:
    def edited(run_id: str, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        run = plain_run(root, run_id)
        change_json(run / METADATA, edit)
        seal_again(run, count=False)

    edited("wrong-digest", lambda fields: fields | {"config_digest": "xxh128:" + "0" * 32})
    edited("still-running", lambda fields: fields | {"status": "running"})
    edited("wrong-counts", lambda fields: fields | {"record_count": 1, "output_count": 9})
    edited("too-few", lambda fields: fields | {"record_count": 3})
    edited("wrong-held", lambda fields: fields | {"held": {"file_count": 3, "size_bytes": 1}})
    stages = [{"name": "txt2img", "outputs": ["outputs/0009-txt2img-0.0123456789ab.png"]}]
    edited("unknown-output", lambda fields: fields | {"stages": stages})
    variants = [{"index": 1, "total": 2}, {"index": 1, "total": 1}]
    numbered = plain_run(root, "numbers")
    change_records(
        numbered,
        lambda records: [fields | {"variant": variant} for fields, variant in zip(records, variants, strict=True)],
    )
    twice = plain_run(root, "index-twice")
    change_records(twice, lambda records: [fields | {"variant": {"index": 0, "total": 2}} for fields in records])
    beyond = plain_run(root, "beyond-the-last")
    change_records(beyond, lambda records: [records[0], records[1] | {"variant": {"index": 2, "total": 2}}])
    staged = plain_run(root, "stage-not-run")
    change_records(
        staged, lambda records: [fields | {"stages": [fields["stages"][0] | {"name": "img2img"}]} for fields in records]
    )
    typed = plain_run(root, "wrong-type")
    change_records(typed, lambda records: [_with_output(fields, media_type="image/jpeg") for fields in records])


def _with_output(fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return fields | {"outputs": [fields["outputs"][0] | changes]}


def _collision(root: Path) -> None:
    writer = begin(root)
    for index in (0, 1, 2):
        origin = {"root": "pictures", "path": f"{index}.png", "name": f"{index}.png"}
        output = {"origin": origin, "digest": "xxh128:" + "ab" * 16, "sha256": f"{index % 2}" * 64}
        append(
            writer, record(index, outputs=[output | {"size_bytes": 14, "media_type": "image/png", "stage": "txt2img"}])
        )
    seal(writer)
    changed = plain_run(root, OTHER_RUN)
    change_records(changed, lambda records: [_with_output(fields, sha256="0" * 64) for fields in records])


def _extensions(root: Path) -> None:
    run = plain_run(root)
    change_records(run, lambda records: [records[0] | {"ext": {"farm": 1}}, records[1] | {"ext": {"org.example": 1}}])


def _leftovers(root: Path) -> None:
    run = plain_run(root)
    first = min((run / "outputs").iterdir())
    for name in ("@eaDir", ".@__thumb", "thumbs"):
        (run / "outputs" / name).mkdir()
        (run / "outputs" / name / "a.jpg").write_bytes(b"x")
    (run / "@eaDir").mkdir()
    for name in (
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
        ".syncthing.a.png.tmp",
        "a.png.part",
        f"{first.stem}.sync-conflict-1.png",
    ):
        (run / "outputs" / name).write_bytes(b"leftover")
    (run / ".run_metadata.json.0a1b2c3d.tmp").write_bytes(b"{")
    (run / "notes.txt").write_bytes(b"mine\n")
    (run / "ro-crate-metadata.json").write_bytes(b"{}")
    (run / "outputs" / "copy-of-it.png").write_bytes(first.read_bytes())
    (run / "outputs" / "with space.png").write_bytes(b"foreign")
    (run / "outputs" / "new.png").write_bytes(b"never sealed")


def _links(root: Path) -> None:
    run = plain_run(root)
    say(run, "rate", image_id=None, rating=3)
    os.symlink("feedback.desk-1.jsonl", run / "feedback.m-1.jsonl")
    os.symlink("elsewhere", run / "outputs" / "linked.png")
    os.symlink("elsewhere", run / "notes.txt")
    first = min((run / "outputs").iterdir())
    moved = run / "outputs" / ".moved"
    first.rename(moved)
    os.symlink(".moved", first)
    linked = plain_run(root, "linked-outputs")
    (linked / "outputs").rename(linked / "elsewhere")
    os.symlink("elsewhere", linked / "outputs")
    seals = plain_run(root, "linked-seal")
    (seals / SEAL).rename(seals / "sums")
    os.symlink("sums", seals / SEAL)


def _store_entries(root: Path) -> None:
    run = plain_run(root)
    plain_run(root, "other").rename(root / f"{RUN} (1)")
    plain_run(root, "hidden").rename(root / ".hidden")
    os.symlink(run.name, root / "link")
    change(root / ".stablenew" / "store.json", lambda _: b"{}\n")


def _later_store(root: Path) -> None:
    plain_run(root)
    change_json(root / ".stablenew" / "store.json", lambda fields: fields | {"schema_version": "2.0"})


def _on_its_way(root: Path) -> None:
    """Half of a sync has arrived, in the order in which it likes."""
    first = plain_run(root, "images-first")
    for name in (METADATA, RECORDS, SEAL):
        (first / name).unlink()
    second = plain_run(root, OTHER_RUN)
    (second / SEAL).unlink()
    (second / METADATA).unlink()
    third = plain_run(root, "seal-first")
    for path in (third / "outputs").iterdir():
        path.unlink()
    (third / "outputs").rmdir()
    cut = min((plain_run(root, "cut-image") / "outputs").iterdir())
    change(cut, lambda data: data[: len(data) // 2])
    sealed = hashlib.sha256(b"").hexdigest()
    change(plain_run(root, "later-file") / SEAL, lambda data: data + f"{sealed}  outputs/zz.png\n".encode())


DAMAGED: Final = (
    Case("outputs-damaged", "A flipped bit, a byte too many, a lost output.", _outputs),
    Case("records-damaged", "A changed letter, a lost line, a torn one, no records at all.", _records),
    Case("lines", "One line for each rule of JSON that it breaks; the first and the last are records.", _lines),
    Case("metadata-damaged", "Lost, cut off, another run's metadata; another run's record.", _metadata),
    Case(
        "seals", "Forms of a seal: all but `unsorted` and `short` cannot be read, and `short` lists too little.", _seals
    ),
    Case("contradictions", "Documents that contradict each other.", _contradictions),
    Case("collision", "Two files of one digest; a record whose `sha256` is not that of its output.", _collision),
    Case("extensions", "An extension without a name of its own makes a record none.", _extensions),
    Case("leftovers", "What file servers, sync tools, desktops and people leave in a run.", _leftovers),
    Case(
        "links", "Links in the place of files and folders. A runner that can make none may leave this one out.", _links
    ),
    Case("store-entries", "A copy and a link of a run beside it, and a marker that is none.", _store_entries),
    Case("later-store", "A marker of a later major version.", _later_store),
    Case("on-its-way", "Runs of which only a part has arrived.", _on_its_way),
)
