"""Run folders put together from their documents alone: quick, and as another program may leave them."""

import hashlib

from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.store.run import Run
from stablenew.store.seal import encode_seal
from tests.samples import metadata, record


def held_output(path="outputs/a.png", data=b"a", **fields):
    """The reference to an output that a run holds, as JSON."""
    facts = {"digest": digest_bytes(data), "size_bytes": len(data), "media_type": "image/png", "stage": "txt2img"}
    return {"path": path} | facts | fields


def output_of(name):
    """The reference to an image that holds its own name."""
    return OutputReference.model_validate(held_output(f"outputs/{name}.png", name.encode()))


def record_line(index=0, outputs=(), run_id="run", **fields):
    """A line of `records.jsonl`."""
    return record(run_id, index, map(OutputReference.model_validate, outputs), **fields).encode_line()


def write_run(root, lines=(), *, run_id="run", files=None, sums=None, **fields):
    """A run folder with these lines of records and other files; with `sums` it has a seal that says so."""
    path = root / run_id
    (path / "outputs").mkdir(parents=True)
    (path / "run_metadata.json").write_bytes(metadata(run_id, **fields).encode_document())
    (path / "records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    for name, data in (files or {}).items():
        (path / name).write_bytes(data)
    if sums is not None:
        (path / "SHA256SUMS").write_bytes(encode_seal(sums))
    return Run(path)


def seal_run(run):
    """Write the seal over all that the run holds."""
    files = sorted(path for path in run.path.rglob("*") if path.is_file() and not path.name.startswith("feedback"))
    sums = {path.relative_to(run.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (run.path / "SHA256SUMS").write_bytes(encode_seal(sums))
    return Run(run.path)
