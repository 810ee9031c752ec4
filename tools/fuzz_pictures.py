"""Mutated pictures through recording, `verify --deep` and thumbnails: none may raise, and each must be in the store.

    python tools/fuzz_pictures.py --count 20000

Each batch runs in a process of its own, so that a decoder that crashes it is named with the seed that does so again.
"""

import argparse
import io
import json
import random
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

BATCH = 200
EXPECTED = {"image-undecodable", "image-mismatch", "image-unchecked", "media-type-mismatch"}
"""What `verify --deep` may find in a damaged picture."""


def make_originals() -> list[bytes]:
    """Sound pictures of every format and mode that is decoded here."""
    from PIL import Image

    grey = Image.linear_gradient("L").resize((48, 40))
    colour = Image.merge("RGB", [grey, grey.rotate(90), grey.rotate(180)])
    alpha = colour.convert("RGBA")
    alpha.putalpha(grey)
    exif = Image.Exif()
    exif[274], exif[305] = 6, "camera"
    frames = [colour.rotate(turn) for turn in (30, 60)]
    deep = grey.convert("I;16")
    pictures: list[tuple[Any, str, dict[str, Any]]] = [
        *((image, "PNG", {}) for image in (colour, alpha, grey, grey.convert("1"), colour.quantize(16), deep)),
        (alpha, "PNG", {"save_all": True, "append_images": frames, "duration": 50}),
        (colour, "PNG", {"exif": exif, "icc_profile": b"\0" * 128}),
        (colour, "JPEG", {"exif": exif, "quality": 80}),
        (colour, "JPEG", {"progressive": True, "comment": b"text"}),
        (colour.convert("CMYK"), "JPEG", {}),
        (colour, "MPO", {"save_all": True, "append_images": frames}),
        (alpha, "WEBP", {"lossless": True, "exif": exif}),
        (colour, "WEBP", {"save_all": True, "append_images": frames}),
        (colour, "GIF", {"save_all": True, "append_images": frames, "loop": 0}),
        (colour, "AVIF", {"exif": exif}),
        (alpha, "AVIF", {"save_all": True, "append_images": [alpha.rotate(30)]}),
        *((image, "TIFF", {}) for image in (colour, deep, grey.convert("F"), colour.convert("CMYK"))),
        (colour, "TIFF", {"compression": "tiff_lzw", "save_all": True, "append_images": frames}),
        (colour, "TIFF", {"compression": "jpeg"}),
        (colour, "BMP", {}),
        (colour.quantize(16), "BMP", {}),
    ]
    return [_encode(*picture) for picture in pictures]


def _encode(image: Any, kind: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    frames = [frame.copy() for frame in options.get("append_images", ())]  # an image keeps its last encoder's settings
    image.copy().save(buffer, kind, **options | ({"append_images": frames} if frames else {}))
    return buffer.getvalue()


def mutate(originals: list[bytes], chance: random.Random) -> bytes:
    """One of the originals with some damage."""
    data = bytearray(chance.choice(originals))
    for _ in range(chance.choice([1, 1, 2, 4, 12])):
        if not data:
            break
        _damage(data, chance.randrange(len(data)), chance.choice([1, 2, 4, 8, 64]), chance.choice(originals), chance)
    return bytes(data)


def _damage(data: bytearray, at: int, length: int, other: bytes, chance: random.Random) -> None:
    """Flip a bit, write other bytes over some, double or remove some, cut the rest off or take that of `other`."""
    kinds: list[tuple[slice, bytes]] = [
        (slice(at, at + 1), bytes([data[at] ^ 1 << chance.randrange(8)])),
        *((slice(at, at + length), filling) for filling in (chance.randbytes(length), b"\xff" * length, bytes(length))),
        (slice(at, at), bytes(data[at : at + length])),
        (slice(at, at + length), b""),
        (slice(at, None), b""),
        (slice(at, None), other[at:]),
    ]
    place, filling = chance.choice(kinds)
    data[place] = filling


def run_batch(seed: int, count: int) -> dict[str, Any]:
    """Record, verify and show `count` pictures; what was found, by what it is."""
    warnings.simplefilter("ignore")
    from stablenew import RunRecorder, RunStore
    from stablenew.store.upkeep.verifying.run_verifier import RunVerifier
    from stablenew.web.pictures.thumbnail_making import NoPicture, make_thumbnails

    chance, originals = random.Random(seed), make_originals()
    pictures = [mutate(originals, chance) for _ in range(count)]
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        with RunRecorder(folder) as recorder:
            for picture in pictures:
                recorder.record_variant(prompt="mutated", images=[picture])
        run = RunStore(folder).open(recorder.run_id)
        kept = {Path(run.path / output.path_in_run).read_bytes() for _, output in run.iter_outputs()}
        seen["lost"] += sum(picture not in kept for picture in pictures if picture)
        seen["status " + run.metadata.status] += 1
        for finding in RunVerifier(run, deep=True).verify().findings:
            seen[finding.code] += 1
            if finding.code not in EXPECTED:
                seen[f"unexpected {finding.code}: {finding.message}"] += 1
    for number, picture in enumerate(pictures):
        try:
            make_thumbnails(picture)
            seen["shown"] += 1
        except NoPicture:
            seen["not shown"] += 1
        except Exception as error:  # noqa: BLE001  # this is what is looked for
            seen[f"EXCEPTION seed {seed}, picture {number}: {type(error).__name__}: {error}"] += 1
    return dict(seen)


def main() -> int:
    """Run all batches; 1 when anything raised, crashed or was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.batch is not None:
        print(json.dumps(run_batch(asked.batch, asked.count)))
        return 0
    total: Counter[str] = Counter()
    for number in range(0, asked.count, BATCH):
        seed = asked.seed * 1_000_000 + number
        command = [sys.executable, __file__, "--batch", str(seed), "--count", str(min(BATCH, asked.count - number))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            total[f"CRASH seed {seed}: {done.returncode} {done.stderr[-400:]}"] += 1
        else:
            total.update(json.loads(done.stdout.splitlines()[-1]))
    print(json.dumps(total, indent=1))
    is_bad = any(
        name.startswith(("EXCEPTION", "CRASH", "unexpected", "lost")) and found for name, found in total.items()
    )
    return int(is_bad)


if __name__ == "__main__":
    raise SystemExit(main())
