"""Put faults into the readers, one at a time, and see whether the conformance suite notices: for a night.

    python -m tools.seed_faults --modules FOLDER

FOLDER holds the node_modules of ajv and hash-wasm. Exit status 1 if the suite misses more than one fault of a reader.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]


class Fault(NamedTuple):
    """A text of a source file, and a wrong one in its place."""

    file: str
    right: str
    wrong: str


_FOLD: Final = "src/stablenew/formats/documents/feedback_fold.py"
_FEEDBACK: Final = "src/stablenew/formats/documents/feedback.py"
_FILES: Final = "src/stablenew/store/feedback/feedback_files.py"
_RUN: Final = "src/stablenew/store/run.py"
_NAMES: Final = "src/stablenew/store/run_folder.py"
_JSON: Final = "src/stablenew/formats/strict_json.py"
_CHECKS: Final = "src/stablenew/store/upkeep/verifying"
_RECORDS: Final = f"{_CHECKS}/record_checks.py"
_DEEP: Final = f"{_CHECKS}/deep_checks.py"
OURS: Final = (
    Fault(_FOLD, "(event.rater, event.id) not in retracted", "event.id not in {target for _, target in retracted}"),
    Fault(_FOLD, 'case "tag" if event.present:', 'case "tag":'),
    Fault(_FOLD, "for key in sorted(winners):", "for key in winners:"),
    Fault(_FOLD, 'return (*subject, event.aspect or "")', "return subject"),
    Fault(_FOLD, 'case "note" if event.text is not None:', 'case "note" if event.text:'),
    Fault(_FEEDBACK, "return (self.clock, self.id)", "return (self.id, self.clock)"),
    Fault(_FEEDBACK, "return self.id == event_id(self.to_dict())", "return True"),
    Fault(_FEEDBACK, "    known = fold_events(event for", "    return False\n    known = fold_events(event for"),
    Fault(_FILES, "if document.run_id != run_id:", "if False:"),
    Fault(_FILES, "        if not is_whole:", "        if False:"),
    Fault(_RUN, "if missing and not are_removed(self.path, missing, sums):", "if missing:"),
    Fault(_RUN, "said <= len(records) + len(problems)", "said <= len(records)"),
    Fault(_RUN, ".st_size == output.size_bytes", ".st_size >= output.size_bytes"),
    Fault(_RUN, "(self.path / OUTPUTS).is_symlink()", "False"),
    Fault(
        _NAMES,
        "return bool(_FEEDBACK.match(name)) and not _ON_ITS_WAY.match(name)",
        "return bool(_FEEDBACK.match(name))",
    ),
    Fault(_NAMES, "return bool(_FEEDBACK.match(name)) and", 'return name.endswith((".json", ".jsonl")) and'),
    Fault(_JSON, "MAX_DEPTH = 64", "MAX_DEPTH = 65"),
    Fault(_JSON, "if len(result) != len(pairs):", "if False:"),
    Fault(_JSON, 'key.encode("utf-16-be", "surrogatepass")', 'key.encode("utf-8", "surrogatepass")'),
    Fault(_JSON, "_HIGHEST_PLAIN_EXPONENT = 21", "_HIGHEST_PLAIN_EXPONENT = 22"),
    Fault("src/stablenew/store/seal.py", "if match[2] in sums:", "if False:"),
    Fault("src/stablenew/store/metric_files.py", "_ORDER: Final = itemgetter(0, 1)", "_ORDER: Final = itemgetter(0)"),
    Fault("src/stablenew/store/feedback/removals.py", "{removal.sha256: removal for", "{removal.digest: removal for"),
    Fault(_RECORDS, "self.sha256s.setdefault(output.digest, sha256) != sha256", "False"),
    Fault(_RECORDS, "elif output.sha256 not in (None, hashes.sha256):", "elif False:"),
    Fault(f"{_CHECKS}/seal_checks.py", "if hashes is not None and hashes.sha256 in originals:", "if False:"),
    Fault(_DEEP, "if index >= total:", "if index > total:"),
    Fault(_DEEP, "metadata.config_digest != digest_json(metadata.config)", "False"),
)
_PYTHON: Final = "schemas/readers/python/run_"
PYTHON: Final = (
    Fault(
        f"{_PYTHON}feedback.py", 'event["rater"], event["id"]) not in taken', 'event["rater"], event["id"]) in taken'
    ),
    Fault(f"{_PYTHON}feedback.py", 'op == "tag" and event["present"]', 'op == "tag"'),
    Fault(f"{_PYTHON}feedback.py", "in sorted(words.items())", "in words.items()"),
    Fault(f"{_PYTHON}feedback.py", "timedelta(days=1)", "timedelta(days=999999)"),
    Fault(f"{_PYTHON}feedback.py", 'validator("metric_batch").is_valid(', "(lambda _: True)("),
    Fault(f"{_PYTHON}documents.py", "if depth(value) > 64:", "if depth(value) > 65:"),
    Fault(f"{_PYTHON}documents.py", ">= 2**53", ">= 2**63"),
    Fault(f"{_PYTHON}documents.py", "if rest:", "if False:"),
    Fault(f"{_PYTHON}documents.py", "1e-6 <=", "1e-5 <="),
    Fault(f"{_PYTHON}documents.py", "if len(sums) == len(lines)", "if True"),
    Fault(f"{_PYTHON}reader.py", "and not COMING_IN.search(name)", ""),
    Fault(f"{_PYTHON}reader.py", 'strong in (None, gone["sha256"])', "True"),
    Fault(f"{_PYTHON}reader.py", "index in indices or", ""),
    Fault(f"{_PYTHON}reader.py", "{digest, None} if", "{digest} if"),
)
_NODE: Final = "schemas/readers/node/"
NODE: Final = (
    Fault(f"{_NODE}feedback.mjs", "tags.sort(byText)", "tags.sort()"),
    Fault(f"{_NODE}feedback.mjs", "event.event_ids.map((id) => canonical([event.rater, id]))", "[]"),
    Fault(f"{_NODE}feedback.mjs", "event.text != null", "event.text"),
    Fault(f"{_NODE}feedback.mjs", 'else say("feedback-forged", line)', "else genuine.push(event)"),
    Fault(f"{_NODE}documents.mjs", "> 64)", "> 63)"),
    Fault(f"{_NODE}documents.mjs", "!word.isWellFormed()", "false"),
    Fault(f"{_NODE}documents.mjs", "open.at(-1).has(word)", "false"),
    Fault(f"{_NODE}documents.mjs", "ignoreBOM: true", "ignoreBOM: false"),
    Fault(f"{_NODE}documents.mjs", "Number.isSafeInteger(Number(token))", "true"),
    Fault(f"{_NODE}run.mjs", 'split("/").includes("..")', 'split("/").includes("...")'),
    Fault(f"{_NODE}run.mjs", "index >= total", "index > total"),
    Fault(f"{_NODE}run.mjs", "removedFromSeal.has(output.path) ||", ""),
    Fault(f"{_NODE}reader.mjs", '!entry.name.startsWith(".")', "true"),
    Fault(f"{_NODE}reader.mjs", "trash.at(-1)?.present", "trash.at(0)?.present"),
)


def is_noticed(fault: Fault, command: list[str], folder: Path) -> bool:
    """Whether the suite fails with a fault in the copy of the sources at `folder`, which is put right again."""
    path = folder / fault.file
    text = path.read_text(encoding="utf-8")
    if fault.right not in text:
        raise SystemExit(f"{fault.file} has no {fault.right!r}: the list of faults is out of date")
    try:
        path.write_text(text.replace(fault.right, fault.wrong, 1), encoding="utf-8")
        return _fails(command, folder)
    finally:
        path.write_text(text, encoding="utf-8")


def _fails(command: list[str], folder: Path) -> bool:
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", type=Path, required=True)
    arguments = parser.parse_args()
    missed_too_many = False
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("src", "tools", "schemas"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "node_modules").symlink_to((arguments.modules / "node_modules").resolve())
        readers = {
            "ours": (OURS, [sys.executable, "-m", "tools.conformance.judge"]),
            "python": (PYTHON, [sys.executable, "schemas/readers/python/conformance.py"]),
            "node": (NODE, ["node", "schemas/readers/node/conformance.mjs"]),
        }
        for name, (faults, command) in readers.items():
            if _fails(command, folder):
                raise SystemExit(f"{name}: the suite fails without a fault")
            missed = [fault for fault in faults if not is_noticed(fault, command, folder)]
            print(
                f"{name}: {len(faults) - len(missed)} of {len(faults)} faults noticed", *missed, sep="\n   ", flush=True
            )
            missed_too_many |= len(missed) > 1
    return 1 if missed_too_many else 0


if __name__ == "__main__":
    sys.exit(main())
