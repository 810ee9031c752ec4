"""Check a StableNew pack: `python check_pack.py [FOLDER]`. It needs Python 3.9 or later, and nothing else."""

import hashlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_run(place: Path, digest: str, images: list[Any]) -> list[str]:
    seal = (place / "SHA256SUMS").read_bytes()
    sums = {line[66:]: line[:64] for line in seal.decode("ascii").splitlines()} | {"SHA256SUMS": _sha256(seal)}
    there = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    bad = [name for name, path in there.items() if sums.get(name) != _sha256(path.read_bytes())]
    problems = [f"{place.name}/{name} is not what its seal says" for name in bad]
    problems += [] if "sha256:" + _sha256(seal) == digest else [f"the seal of {place.name} is another one"]
    records = [] if bad else map(json.loads, (place / "records.jsonl").read_bytes().splitlines())
    prompts = {record["variant"]["index"]: record["prompt"]["positive"] for record in records}
    own = [(int(image["name"].partition("/")[0]), image) for image in images if image["job"] == place.name]
    wrong = [image for variant, image in own if prompts.get(variant) != (image["prompt"] or "")]
    return problems + [f"the prompt of {image['digest']} is not the recorded one" for image in wrong]


def _check_leaves(pack: Any, said: list[Any]) -> list[str]:
    problems = []
    for leaf in pack["leaves"]:
        number, _, name = leaf["name"].partition("/")
        if "salt" in leaf:
            text = json.dumps([leaf["name"], said[int(number)].pop(name, None)], separators=(",", ":"), sort_keys=True)
            if _sha256(bytes.fromhex(leaf["salt"]) + text.encode()) != leaf["hash"]:
                problems.append(f"{leaf['name']} is not what the sharer said")
    if _sha256(b"".join(bytes.fromhex(leaf["hash"]) for leaf in pack["leaves"])) != pack["root"]:
        problems.append("the root does not stand for these leaves")
    problems += runpy.run_path(str(Path(__file__).with_name("check_signature.py")))["check"](pack)
    return problems + [f"image {n} shows more than the sharer said" for n, rest in enumerate(said) if rest]


def _main(folder: Path) -> int:
    pack = json.loads((folder / "pack.json").read_bytes())
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found = {name: _sha256(path.read_bytes()) for name, path in there.items() if name != "pack.json"}
    changed = {name for name, _ in found.items() ^ pack["files"].items()}
    shown = b"{}" if "data.js" in changed else (folder / "data.js").read_bytes()[len(b"const PACK = ") : -len(b";\n")]
    images, said = json.loads(shown).get("images", []), [{"evidence": json.loads(shown).get("evidence")}]
    problems = [f"{name} is not as it was shared" for name in sorted(changed)]
    for run in pack["runs"]:
        problems += _check_run(folder / "runs" / run["run_id"], run["digest"], images)
    problems += _check_leaves(pack, images + said) if "root" in pack and not changed else []
    print("\n".join(problems) or f"{len(images)} images, {len(found)} files, {len(pack['runs'])} runs: all as shared")
    print("".join(f"run {run['run_id']} {run['digest']}\n" for run in pack["runs"]), end="")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent))
