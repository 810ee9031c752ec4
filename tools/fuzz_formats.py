"""Change documents and stores in nasty ways, and compare what three readers make of them.

    python -m tools.fuzz_formats --modules FOLDER [--documents 20000] [--stores 2000] [--seed 1]

The readers are ours with `verify`, and the two in `schemas/readers` that know only the specification. FOLDER holds the
node_modules of ajv and hash-wasm. Each difference is printed and its store kept; exit status 1 if there is any.
"""

import argparse
import copy
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.mutations import mutated
from tools.conformance.our_reader import describe_store
from tools.make_conformance_suite import unpack

from stablenew.errors import FormatError
from stablenew.formats.documents.feedback import event_id
from stablenew.formats.run_id import is_run_id
from stablenew.formats.schema_catalog import DOCUMENTS
from stablenew.formats.strict_json import encode_json, parse_json
from stablenew.store.run import Run
from stablenew.store.run_folder import SEAL, is_unsealed
from stablenew.store.seal import encode_seal
from stablenew.store.upkeep.verifying.run_verifier import RunVerifier

SCHEMAS: Final = Path(__file__).parents[1] / "schemas"
_ANSWERING: Final = """
import readline from "node:readline";
const { readStore, parseIJson, fits } = await import(process.argv[1] + "/readers/node/reader.mjs");
const judge = (schema, text) => {
    try { return fits(schema, parseIJson(Buffer.from(text, "base64"))); } catch { return false; }
};
for await (const line of readline.createInterface({ input: process.stdin })) {
    const { root, schema, text } = JSON.parse(line);
    const answer = root ? readStore(root) : judge(schema, text);
    process.stdout.write(JSON.stringify(answer) + "\\n");
}
"""
_NEW_NAMES: Final = (
    "feedback (2).json", "feedback.x-1.jsonl", "feedback.json.part", "feedback.x_1.jsonl", "metrics.a.jsonl",
    "metrics.jsonl", "outputs/copy.png", "outputs/.hidden", "outputs/a.sync-conflict-1.png", "notes.txt",
    "records.jsonl", "SHA256SUMS", "run_metadata.json", "feedback.json", ".run_metadata.json.0a1b2c3d.tmp",
    "outputs/a b.png", "metrics.a.jsonl.tmp",
)  # fmt: skip
_TEXTS: Final = (
    (b'"kind"', b'"kind":1,"kind"'), (b"1.0", b"1.5"), (b"1.0", b"2.0"), (b"20", b"NaN"), (b"20", b"1e999"),
    (b":20", b":20.0"), (b"100", b"9007199254740993"), (b"quiet", b"\\ud800"), (b"quiet", b"\xff"), (b"\n", b"\r\n"),
    (b"\n", b" \n\n"), (b"{", b" {"), (b'"completed"', b'"running"'), (b"xxh128:", b"xxh128:0"),
    (b"anna", b"__proto__"), (b"desk-1", b"desk-2"), (b"2026", b"2999"),
)  # fmt: skip


_PLACES: Final = {
    "run_metadata": "run_metadata.json",
    "learning_record": "records.jsonl",
    "feedback": "feedback.json",
    "feedback_event": "feedback.x.jsonl",
    "metric_batch": "metrics.x.jsonl",
}
"""Where a document lies in a run."""
_REFUSALS: Final = {
    "metadata-unreadable", "record-unreadable", "feedback-unreadable", "metrics-unreadable", "newer-format",
}  # fmt: skip
"""What `verify` says of a document that it does not take."""


class NodeReader:
    """The reader in Node, which answers one question after another."""

    def __init__(self, modules: Path) -> None:
        shutil.rmtree(modules / "schemas", ignore_errors=True)
        shutil.copytree(SCHEMAS, modules / "schemas")  # modules are looked for in the folders above
        command = ["node", "--input-type=module", "-e", _ANSWERING, str(modules / "schemas")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, **question: str) -> Any:
        """Its answer: a store's description, or whether a document is valid."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline() or b'"it crashed"')

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare_documents(node: NodeReader, count: int, rng: random.Random, folder: Path) -> Iterator[str]:
    """Documents that a reader takes and another, or `verify`, refuses."""
    seeds = [(path.name.partition(".")[0], json.loads(path.read_bytes())) for path in _examples()]
    verdicts: Counter[bool] = Counter()
    verified = 0
    for _ in range(count):
        kind, value = rng.choice(seeds)
        text = _change_text(json.dumps(mutated(copy.deepcopy(value), rng)).encode(), rng, share=0.2)
        ours = _is_valid(kind, text)
        theirs = node.ask(schema=kind, text=_base64(text))
        verdicts[ours] += 1
        if ours != theirs:
            yield f"{kind}: we say {ours}, the reader in Node says {theirs}: {text!r}"
        if kind in _PLACES and b"\n" not in text:
            verified += 1
            if (found := _is_taken_by_verify(folder, kind, text)) != ours:
                yield f"{kind}: we say {ours}, verify says {found}: {text!r}"
    print(f"documents: {count}, {verdicts[True]} of them valid; {verified} of them also verified in a run")


def _is_taken_by_verify(folder: Path, kind: str, text: bytes) -> bool:
    """Whether `verify` takes a document in its place in a run."""
    run = folder / "sample-run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    metadata = (SCHEMAS / "examples" / "v1.0" / "valid" / "run_metadata.minimal.json").read_bytes()
    (run / "run_metadata.json").write_bytes(metadata)
    (run / _PLACES[kind]).write_bytes(text + b"\n" * _PLACES[kind].endswith("l"))
    findings = RunVerifier(Run(run)).verify().findings
    return not any(finding.code in _REFUSALS and finding.path == _PLACES[kind] for finding in findings)


def _examples() -> list[Path]:
    return sorted((SCHEMAS / "examples" / "v1.0" / "valid").glob("*.json"))


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


def _is_valid(kind: str, text: bytes) -> bool:
    from stablenew.formats.documents.feedback import FeedbackEvent

    try:
        value = parse_json(text)
        FeedbackEvent.model_validate(value) if kind == "feedback_event" else DOCUMENTS[kind].from_dict(value)
    except (FormatError, ValueError):
        return False
    return True


def compare_stores(node: NodeReader, count: int, rng: random.Random, folder: Path) -> Iterator[str]:
    """Stores that a reader describes otherwise than another."""
    sys.path.insert(0, str(SCHEMAS / "readers" / "python"))
    from run_reader import read_store  # type: ignore[import-not-found]

    cases = [json.loads(path.read_bytes()) for path in sorted((SCHEMAS / "conformance").glob("*.json"))]
    codes: Counter[str] = Counter()
    with ThreadPoolExecutor(1) as pool:
        for number in range(count):
            root = folder / str(number)
            unpack(rng.choice(cases)["store"], root)
            change_store(root, rng)
            asked = pool.submit(node.ask, root=str(root))
            ours = _plain(describe_store(root))
            answers = {"python": _plain(read_store(root)), "node": _plain(asked.result())}
            codes.update(finding[1] for run in ours["runs"].values() for finding in run["findings"])
            wrong = [f"{name}: {_difference(ours, answer)}" for name, answer in answers.items() if answer != ours]
            if wrong:
                yield f"{root}: {'; '.join(wrong)}"
            else:
                shutil.rmtree(root)
    print(f"stores: {count}; findings: {dict(codes.most_common())}")


def _plain(answer: Any) -> Any:
    """An answer with findings in one order, and numbers as JSON has them."""
    if isinstance(answer, dict):
        for described in (answer, *answer["runs"].values()):
            described["findings"] = sorted(described["findings"], key=json.dumps)
    return json.loads(json.dumps(answer))


def _difference(ours: Any, theirs: Any, place: str = "") -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                return _difference(ours.get(key), theirs.get(key), f"{place}/{key}")
    if isinstance(ours, list) and isinstance(theirs, list):
        ours, theirs = [item for item in ours if item not in theirs], [item for item in theirs if item not in ours]
    return f"{place}: ours {json.dumps(ours)[:400]}, theirs {json.dumps(theirs)[:400]}"


def change_store(root: Path, rng: random.Random) -> None:
    """Change one to three things in a store; sometimes seal a run again over what it then holds."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        runs = [
            path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink() and is_run_id(path.name)
        ]
        if not runs:
            return
        run = rng.choice(runs)
        files = [path for path in sorted(run.rglob("*")) if path.is_file() and not path.is_symlink()]
        if files:
            rng.choice(CHANGES)(run, rng.choice(files), rng)
        if rng.random() < 0.4:
            _seal_again(run)


def _flip(_run: Path, path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes() or b"x")
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _cut(_run: Path, path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) + 1)])


def _lengthen(_run: Path, path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.choice([b"x", b"\n", b" \n", b"{}\n", b"\n\n{"]))


def _delete(_run: Path, path: Path, _rng: random.Random) -> None:
    path.unlink()


def _copy(run: Path, path: Path, rng: random.Random) -> None:
    target = run / rng.choice(_NEW_NAMES)
    target.parent.mkdir(exist_ok=True)
    if not target.is_dir() and not target.is_symlink():
        target.write_bytes(path.read_bytes())


def _rename(run: Path, path: Path, rng: random.Random) -> None:
    target = run / rng.choice(_NEW_NAMES)
    target.parent.mkdir(exist_ok=True)
    if not target.exists() and not target.is_symlink():
        path.rename(target)


def _move_lines(_run: Path, path: Path, rng: random.Random) -> None:
    lines = path.read_bytes().split(b"\n")
    place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    if rng.random() < 0.5:
        lines[place], lines[other] = lines[other], lines[place]
    else:
        lines.insert(other, lines[place])
    path.write_bytes(b"\n".join(lines))


def _bend_text(_run: Path, path: Path, rng: random.Random) -> None:
    path.write_bytes(_change_text(path.read_bytes(), rng, share=1))


def _change_text(data: bytes, rng: random.Random, share: float) -> bytes:
    if rng.random() >= share:
        return data
    old, new = rng.choice([pair for pair in _TEXTS if pair[0] in data] or [(b"", b" ")])
    return data.replace(old, new, rng.choice([1, 1, -1]))


def _bend_json(_run: Path, path: Path, rng: random.Random) -> None:
    """Change a value somewhere in a document or line; sometimes give changed events the ids that they then have."""
    if ".json" not in path.name:
        return
    is_lines = ".jsonl" in path.name
    parts = path.read_bytes().split(b"\n") if is_lines else [path.read_bytes()]
    place = rng.randrange(len(parts))
    try:
        value = mutated(parse_json(parts[place]), rng)
        _give_ids(value, rng)
        parts[place] = encode_json(value)
    except (FormatError, ValueError):
        return
    path.write_bytes(b"\n".join(parts) if is_lines else parts[0])


def _give_ids(value: Any, rng: random.Random) -> None:
    events = value.get("events", [value]) if isinstance(value, dict) else []
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and "op" in event and rng.random() < 0.7:
            event["id"] = event_id(event)


CHANGES: Final[tuple[Callable[[Path, Path, random.Random], None], ...]] = (
    _flip, _cut, _lengthen, _delete, _copy, _rename, _move_lines, _bend_text, _bend_text, *[_bend_json] * 6,
)  # fmt: skip


def _seal_again(run: Path) -> None:
    paths = [path for path in run.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {path.relative_to(run).as_posix(): path for path in paths}
    sums = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if name != SEAL and not is_unsealed(name) and " " not in name
    }
    if not (run / SEAL).is_symlink():
        (run / SEAL).write_bytes(encode_seal(sums))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--stores", type=int, default=2_000)
    parser.add_argument("--seed", default="1")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzzed-stores-"))
    os.environ["STABLENEW_STATE_DIR"] = f"{folder}/state"
    node, rng = NodeReader(arguments.modules), random.Random(arguments.seed)
    differences = 0
    for difference in (*compare_documents(node, arguments.documents, rng, folder / "documents"),):
        differences += 1
        print(difference)
    for difference in compare_stores(node, arguments.stores, rng, folder):
        differences += 1
        print(difference)
    node.close()
    print(f"{differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
