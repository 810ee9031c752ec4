"""Read and check StableNew run folders by their specification alone (../../README.md).

`read_store` is all of it. Needs jsonschema and xxhash.
"""

import re

from run_documents import canonical, document, lines_of, parse_seal, sha256, xxh128
from run_feedback import fold, in_order, read_feedback, read_scores, standing

METADATA, RECORDS, SEAL = DOCUMENTS = ("run_metadata.json", "records.jsonl", "SHA256SUMS")
GENERATED = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{3}-[0-9a-hjkmnp-tv-z]{10}")
RUN_ID = re.compile(r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])\Z)[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
OUTPUT = re.compile(r"outputs/[A-Za-z0-9](?:[A-Za-z0-9._-]{0,118}[A-Za-z0-9])?")
SPEECH = re.compile(r"feedback.*\.json|metrics\..+\.jsonl", re.S)
COMING_IN = re.compile(
    r"\.(?:!sync|!ut|part|filepart|partial|crdownload|download|tmp|temp|swp|aria2)\Z|\.sb-[0-9a-f]+-[a-z0-9]+\Z", re.I
)
BY_TOOLS = re.compile(r"\.sync-conflict-|\.conflict[0-9]+\Z|\.\.path[0-9]+\Z|\Adesktop\.ini\Z|\AThumbs\.db\Z")
MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
INFO = "file-ignored run-copy run-link output-removed output-unrecorded feedback-conflict-copy store-incomplete".split()
WARNING = "newer-format run-incomplete record-torn feedback-torn feedback-ahead feedback-stale metrics-torn".split()


class Run:
    def __init__(self, folder):
        self.folder, self.findings, self.known, self.digests, self.removed = folder, [], set(), {}, set()
        self.has_outputs = (folder / "outputs").is_dir() and not (folder / "outputs").is_symlink()
        names = self.list_files()
        speech = [(name, self.read(name)) for name in names if SPEECH.match(name)]
        self.events, findings = read_feedback(folder.name, [item for item in speech if item[0].startswith("feedback")])
        self.scores, more = read_scores(folder.name, [item for item in speech if item[0].startswith("metrics")])
        self.findings += findings + more
        self.removals = fold(self.events).get("removals", [])
        seal = self.read(SEAL)
        self.has_seal = (folder / SEAL).is_symlink() or (folder / SEAL).exists()
        self.sums = None if seal is None else parse_seal(seal)
        self.digest = None if seal is None else f"sha256:{sha256(seal)}"
        self.is_complete = self.sums is not None and not (folder / "outputs").is_symlink()
        if seal is not None and self.sums is None:
            self.say("seal-unreadable", SEAL)
        self.check_seal(names)
        self.check_records()
        self.check_metadata(seal is not None)
        for name in names:
            if name.startswith("outputs/") and name not in self.known:
                self.say("output-unrecorded", name)
        if not self.has_seal:
            self.say("run-incomplete", "")
        self.state = "sealed" if self.is_complete else "incomplete"  # running and interrupted: known to one machine

    def say(self, code, path, line=None):
        self.findings.append((code, path, line))

    def read(self, name):
        path = self.folder / name
        is_there = path.is_file() and not path.is_symlink() and (self.has_outputs or not name.startswith("outputs/"))
        return path.read_bytes() if is_there else None

    def list_files(self):
        paths = [*self.folder.iterdir(), *((self.folder / "outputs").iterdir() if self.has_outputs else ())]
        names = []
        for path in sorted(paths):
            name, is_folder = path.relative_to(self.folder).as_posix(), path.is_dir() and not path.is_symlink()
            is_speech = SPEECH.match(name) and not COMING_IN.search(name)
            is_output = OUTPUT.fullmatch(name) and not COMING_IN.search(path.name) and not BY_TOOLS.search(path.name)
            if name == "outputs" and is_folder:
                continue
            if not (name in (*DOCUMENTS, "outputs") or is_speech or is_output) or (is_folder and "/" in name):
                self.say("file-ignored", name)
            elif self.read(name) is not None:
                names.append(name)
            else:
                self.say("link-refused", name)
        return names

    def is_as_sealed(self, name):
        data = self.read(name)
        return data is not None and sha256(data) == self.sums[name]

    def is_excused(self, name, fits):
        if name.startswith("outputs/") and any(map(fits, self.removals)):
            self.say("output-removed", name)
            self.removed.add(name)
            return True
        return False

    def check_seal(self, names):
        for name, sum_ in (self.sums or {}).items():
            if self.read(name) is not None:
                if not self.is_as_sealed(name):
                    self.say("file-changed", name)
            elif not self.is_excused(name, lambda removal, sum_=sum_: removal["sha256"] == sum_):
                self.say("file-missing", name)
                self.is_complete = False
        self.removed_from_seal = set(self.removed)
        sealed = {sum_ for name, sum_ in (self.sums or {}).items() if name.startswith("outputs/")}
        for name in names if self.sums else ():
            if name not in self.sums and name != SEAL and not SPEECH.match(name):
                self.say("file-ignored" if sha256(self.read(name)) in sealed else "file-unlisted", name)

    def check_records(self):
        self.records, self.codes, self.line_count, indices = [], [], 0, set()
        for number, line, is_whole in lines_of(self.read(RECORDS) or b""):
            record, code = document(line, "learning_record", "record-unreadable") if is_whole else (None, "record-torn")
            self.line_count += is_whole
            if code:
                self.say(code, RECORDS, number)
                self.codes.append(code)
                continue
            self.records.append(record)
            if record["run_id"] != self.folder.name:
                self.say("record-mismatch", RECORDS, number)
            index, stages = record["variant"]["index"], [stage["name"] for stage in record["stages"]]
            outside = stages and any(output["stage"] not in stages for output in record["outputs"])
            if index in indices or index >= record["variant"]["total"] or outside:
                self.say("documents-disagree", RECORDS, number)
            indices.add(index)
            self.known.add((record.get("reconstructed") or {}).get("raw_path"))
            for output in record["outputs"]:
                self.check_output(output)

    def check_output(self, output):
        path, strong = output.get("path"), output.get("sha256")
        if strong and self.digests.setdefault(output["digest"], strong) != strong:
            self.say("digest-collision", path or output["origin"]["path"])
        if path is None:
            return
        self.known.add(path)
        data, size = self.read(path), output["size_bytes"]
        if data is None:
            same = (output["digest"], size)
            fits = lambda gone: (gone["digest"], gone["size_bytes"]) == same and strong in (None, gone["sha256"])  # noqa: E731
            if not self.is_excused(path, fits):
                self.say("output-missing", path)
        elif (len(data), xxh128(data)) != (size, output["digest"]) or strong not in (None, sha256(data)):
            self.say("output-changed", path)
        self.is_complete &= path in self.removed_from_seal or (data is not None and len(data) == size)
        found = next((kind for magic, kind in MAGIC.items() if data and data.startswith(magic)), output["media_type"])
        if found != output["media_type"]:
            self.say("media-type-mismatch", path)

    def check_metadata(self, is_sealed):
        data = self.read(METADATA)
        self.metadata, code = (
            document(data, "run_metadata", "metadata-unreadable") if data is not None else (None, None)
        )
        if data is None and self.has_seal:
            code = "metadata-missing"
        if code:
            self.say(code, METADATA)
        about = self.metadata or {}
        self.is_complete &= self.metadata is not None and "record-torn" not in self.codes
        self.is_complete &= self.line_count >= (about.get("record_count") or 0)
        if not about:
            return
        disagree, mismatch = (
            [xxh128(canonical(about["config"])) != about["config_digest"]],
            [about["run_id"] != self.folder.name],
        )
        disagree.append(is_sealed and about["status"] == "running")
        if self.sums and (RECORDS not in self.sums or self.is_as_sealed(RECORDS)):
            rest = [name for name in self.sums if name != METADATA]
            counts = {
                "record_count": len(self.records),
                "output_count": sum(len(record["outputs"]) for record in self.records),
            }
            is_later = "newer-format" in self.codes
            mismatch += [not is_later and about.get(name) not in (None, count) for name, count in counts.items()]
            if about.get("held") and all(map(self.is_as_sealed, rest)):
                found = {"file_count": len(rest), "size_bytes": sum(len(self.read(name)) for name in rest)}
                mismatch.append(any(about["held"][name] != count for name, count in found.items()))
            named = {path for stage in about.get("stages") or () for path in stage["outputs"]}
            disagree.append(not self.codes and bool(named - self.known))
        for code, found in (("metadata-mismatch", mismatch), ("documents-disagree", disagree)):
            if any(found):
                self.say(code, METADATA)

    def describe(self):
        return {
            "state": self.state,
            "status": self.metadata["status"] if self.is_complete else self.state,
            "digest": self.digest,
            "records": [
                [record["variant"]["index"], record["status"], len(record["outputs"])] for record in self.records
            ],
            "events": [event["id"] for event in self.events],
            "feedback": fold(self.events),
            "findings": list_findings(self.findings),
        }


def list_findings(findings):
    severity = {**dict.fromkeys(INFO, "info"), **dict.fromkeys(WARNING, "warning")}
    found = {
        (severity.get(code, "error"), code, path, line if ".jsonl" in path else None) for code, path, line in findings
    }
    return sorted(map(list, found), key=lambda finding: (finding[1], finding[2], finding[3] or 0))


def read_store(root):
    """All runs of a store, its images over all runs, and findings, in the form of the conformance suite."""
    runs, findings = [], []
    for path in sorted(root.iterdir()):
        holds_one = any((path / name).is_file() and not (path / name).is_symlink() for name in DOCUMENTS)
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder and (GENERATED.fullmatch(path.name) or (RUN_ID.fullmatch(path.name) and holds_one)):
            runs.append(Run(path))
        elif holds_one and not path.name.startswith("."):
            findings.append(("run-link" if path.is_symlink() else "run-copy", path.name, None))
    marker = root / ".stablenew" / "store.json"
    if marker.is_file():
        _, code = document(marker.read_bytes(), "store", "store-changed")
        findings += [(code, "store.json", None)] if code else []
    elif marker.parent.is_dir():
        findings.append(("store-incomplete", "store.json", None))
    digests = {output["digest"] for run in runs for record in run.records for output in record["outputs"]}
    images = {digest: describe_image(digest, runs) for digest in digests}
    described = {run.folder.name: run.describe() for run in runs}
    return {"runs": described, "images": images, "findings": list_findings(findings)}


def describe_image(digest, runs):
    runs = [
        run for run in runs if any(output["digest"] == digest for record in run.records for output in record["outputs"])
    ]
    events = in_order({event["id"]: event for run in runs for event in run.events}.values())
    trash = [event["present"] for event in standing(events) if event["op"] == "trash" and event["image_id"] == digest]
    scores = []
    for record in (record for run in runs for record in run.records):
        finals = [output for output in record["outputs"] if output.get("role") == "final"] or record["outputs"]
        about = {digest, None} if any(output["digest"] == digest for output in finals) else {digest}
        scores += [
            ("", score["value"], score) for score in record.get("metrics") or () if score.get("image_id") in about
        ]
    scores += [score for run in runs for score in run.scores if score[2].get("image_id") in (None, digest)]
    newest = {
        (score["metric"], score.get("scorer")): value for _, value, score in sorted(scores, key=lambda item: item[:2])
    }
    metrics = [[*key, value] for key, value in sorted(newest.items(), key=lambda item: (item[0][0], item[0][1] or ""))]
    opinions = fold(events)["images"].get(digest, {})
    return {
        "runs": [run.folder.name for run in runs],
        "opinions": opinions,
        "trashed": [False, *trash][-1],
        "metrics": metrics,
    }
