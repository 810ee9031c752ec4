"""Make a believable run store of any size from a seed: for demonstrations, tests and measurements.

    python tools/make_example_runs.py FOLDER --count 100000 [--seed 1] [--outputs links|images|named|none]

The same seed makes the same runs. They are whole, sealed runs that `stablenew verify --deep` accepts. With `links`
their outputs are tiny pictures that share their disk blocks by hard links; with `images` every output is a picture of
its own, drawn by the sketch engine; with `none` the variants have no outputs and there is only JSON. With `named`
records name pictures that are not there: for measuring what reads only JSON.
"""

import argparse
import hashlib
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from stablenew.formats.clock import format_timestamp
from stablenew.formats.digest import digest_json
from stablenew.formats.documents.feedback import build_event, build_feedback
from stablenew.formats.run_id import new_run_id
from stablenew.formats.strict_json import encode_json, encode_pretty_json
from stablenew.recording.image_content import build_image
from stablenew.store.run_folder import METADATA, OUTPUTS, RECORDS, SEAL, output_name
from stablenew.store.run_store import RunStore
from stablenew.store.seal import encode_seal

LATEST = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
SUBJECTS = (
    "a quiet harbour|an old lighthouse|a mountain lake|a greenhouse|a market hall|a stone bridge|a bowl of pears|"
    "a library reading room|a river delta|a tram depot|a windmill|a tea garden|a glass pavilion|a snowy village|"
    "a desert road|a copper kettle|an orchard|a canal house"
).split("|")
LIGHTS = "at dawn|at noon|at dusk|under a full moon|in fog|after rain|in golden light|by candlelight".split("|")
STYLES = "oil painting|watercolour|ink drawing|photograph, 35mm|gouache|linocut|pastel|isometric render".split("|")
DETAILS = (
    "highly detailed|soft shadows|wide angle|muted colours|vivid colours|shallow depth of field|wooden piers|"
    "tiled roofs|drifting leaves|long exposure|paper texture|reflections|birds|morning mist|weathered brick|reeds|"
    "brass fittings|cobblestones|ivy|lanterns"
).split("|")
MODELS = (
    "dreamshaper_8|deliberate_v3|sd_xl_base_1.0|realisticVisionV51|dreamshaperXL_v21|juggernautXL_v9|openjourney-v4|"
    "sd15_inpaint|absoluteReality|protogen_x34"
).split("|")
SAMPLERS = ["Euler a", "DPM++ 2M", "DPM++ SDE", "DDIM", "UniPC", "Heun", "LMS"]
PACKS = [
    ("harbour", "Harbour at dawn"),
    ("orchards", "Orchards"),
    ("still-life", "Still life"),
    ("bridges", "Bridges"),
    ("interiors", "Interiors"),
    ("gardens", "Gardens"),
    ("winter", "Winter villages"),
    ("canals", "Canals"),
]
LORAS = ["ink", "paper-cut", "film-grain", "soft-light", "linework"]
TAGS = ["portrait", "keeper", "print", "series-b", "too-dark", "reference"]
NEGATIVES = ["blurry, low contrast", "blurry, watermark, jpeg artefacts", "lowres, bad proportions", ""]
RATERS = ["anna", "ben"]
SWEPT: dict[str, list[Any]] = {"cfg_scale": [5.0, 7.0, 9.0, 11.0], "steps": [20, 30, 40], "sampler": SAMPLERS[:4]}


@dataclass(frozen=True)
class Options:
    """How the store is made."""

    root: Path
    seed: int
    count: int
    outputs: str
    fresh_prompts: float
    variants: float | None = None
    """How many a run has at the mean, from 1 to 64; None for mostly one, and now and then a sweep."""
    """The share of runs with a prompt that no other run has."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--outputs", choices=["links", "images", "named", "none"], default="links")
    parser.add_argument("--fresh-prompts", type=float, default=0.3, metavar="SHARE")
    parser.add_argument("--variants", type=float, metavar="MEAN")
    arguments = parser.parse_args()
    options = Options(
        arguments.folder,
        arguments.seed,
        arguments.count,
        arguments.outputs,
        arguments.fresh_prompts,
        arguments.variants,
    )
    started = time.monotonic()
    make_runs(options, lambda done: report(done, options.count, started))
    print(f"\n{options.count:,} runs in {options.root}", file=sys.stderr)


def report(done: int, total: int, started: float) -> None:
    pace = done / max(0.001, time.monotonic() - started)
    print(f"\r{done:,} of {total:,}, {pace:,.0f} a second", end="", file=sys.stderr, flush=True)


def make_runs(options: Options, progress: Callable[[int], None] = lambda _: None) -> None:
    """Make the whole store, on all processors."""
    RunStore(options.root).prepare()
    step = 500
    parts = [(options, first, min(first + step, options.count)) for first in range(0, options.count, step)]
    done = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for made in pool.map(make_part, parts):
            done += made
            progress(done)


def make_part(part: tuple[Options, int, int]) -> int:
    options, first, last = part
    for number in range(first, last):
        write_run(options, number)
    return last - first


def write_run(options: Options, number: int) -> None:
    """Write one run folder, in the fast way: nothing here has to survive a power cut."""
    chance = random.Random(f"{options.seed}/{number}")
    run = build_run(options, number, chance)
    folder = options.root / run.run_id
    os.makedirs(folder / OUTPUTS)
    sums = {}
    for path, (data, sha256) in run.outputs.items():
        if options.outputs != "named":
            put_output(options, folder / path, data)
        sums[path] = sha256
    for name, data in ((METADATA, run.metadata), (RECORDS, run.records)):
        sums[name] = hashlib.sha256(data).hexdigest()
        put(folder / name, data)
    put(folder / SEAL, encode_seal(sums))
    for name, data in run.feedback.items():
        put(folder / name, data)


def put(path: Path, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def put_output(options: Options, path: Path, data: bytes) -> None:
    """Write an output; of equal ones in links only the first, as long as the file system takes more names for it."""
    key = (options.root, data)
    if options.outputs == "links" and key in SHARED and link(SHARED[key], path):
        return
    put(path, data)
    SHARED[key] = path


SHARED: dict[tuple[Path, bytes], Path] = {}


def link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # no hard links here, or too many of this file
        return False
    return True


@dataclass
class ExampleRun:
    """All bytes of one run."""

    run_id: str
    metadata: bytes
    records: bytes
    outputs: dict[str, tuple[bytes, str]]
    feedback: dict[str, bytes]


def build_run(options: Options, number: int, chance: random.Random) -> ExampleRun:
    # A few hundred a day, in sittings, back from the latest
    age = timedelta(seconds=(options.count - number) * 140 + chance.random() * 120, milliseconds=chance.randrange(1000))
    created = LATEST - age
    run_id = new_run_id(created, chance.getrandbits)
    pack_id, pack_name = chance.choice(PACKS)
    config = {"txt2img": build_settings(chance)}
    if chance.random() < 0.2:
        config["upscale"] = {"factor": chance.choice([1.5, 2.0])}
    overrides = build_overrides(chance) if options.variants is None else build_grid(chance, options.variants)
    status = chance.choices(["completed", "failed", "cancelled", "partial"], [95, 2, 2, 1])[0]
    prompt = build_prompt(options, number, chance)
    tags = [f"experiment:{next(iter(overrides[0]))}"] if overrides[0] else []
    records: list[dict[str, Any]] = []
    outputs: dict[str, tuple[bytes, str]] = {}
    at = created
    done = overrides if status == "completed" else overrides[: max(1, len(overrides) // 2)]
    for index, override in enumerate(done):
        has_failed = status == "failed" or (status == "partial" and index == len(done) - 1)
        record, images, at = build_record(
            options,
            chance,
            run_id,
            at,
            index,
            len(overrides),
            config,
            override,
            prompt,
            (pack_id, pack_name),
            has_failed,
        )
        records.append(record)
        outputs |= images
    metadata = build_metadata(run_id, created, at, status, (pack_id, pack_name), config, tags, overrides, records)
    feedback = build_opinions(run_id, records, at, chance) if outputs and chance.random() < 0.35 else {}
    lines = b"".join(encode_json(record) + b"\n" for record in records)
    return ExampleRun(run_id, encode_pretty_json(metadata), lines, outputs, feedback)


def build_settings(chance: random.Random) -> dict[str, Any]:
    width, height = chance.choice([(512, 512), (512, 768), (768, 512), (1024, 1024)])
    return {
        "model": chance.choices(MODELS, [30, 20, 15, 10, 8, 6, 5, 3, 2, 1])[0],
        "sampler": chance.choices(SAMPLERS, [40, 25, 12, 10, 7, 4, 2])[0],
        "scheduler": chance.choice(["Normal", "Karras"]),
        "steps": chance.choice([20, 24, 28, 30, 36, 40, 50]),
        "cfg_scale": chance.choice([4.5, 5.0, 6.0, 6.5, 7.0, 7.5, 8.0, 9.0, 11.0]),
        "width": width,
        "height": height,
        "clip_skip": chance.choice([1, 2]),
    }


def build_overrides(chance: random.Random) -> list[dict[str, Any]]:
    """One empty override for a single variant; for a sweep, one for each value."""
    if chance.random() < 0.85:
        return [{}]
    name = chance.choice(list(SWEPT))
    return [{f"txt2img.{name}": value} for value in SWEPT[name]]


def build_grid(chance: random.Random, mean: float) -> list[dict[str, Any]]:
    """The first of all combinations of what is swept, as many as chance says."""
    count = min(64, 1 + int(chance.expovariate(1 / (mean - 0.5))))
    names = [f"txt2img.{name}" for name in SWEPT]
    return [dict(zip(names, values, strict=False)) for values in product(*SWEPT.values(), range(2))][:count]


def build_prompt(options: Options, number: int, chance: random.Random) -> dict[str, Any]:
    if chance.random() < options.fresh_prompts:
        source = random.Random(f"prompt/{options.seed}/{number}")
    else:
        source = random.Random(f"prompt/{options.seed}/{chance.randrange(max(50, options.count // 20))}")
    loras = [(source.choice(LORAS), source.choice([0.5, 0.65, 0.8]))] if source.random() < 0.3 else []
    parts = [f"{source.choice(SUBJECTS)} {source.choice(LIGHTS)}", source.choice(STYLES), *source.sample(DETAILS, 6)]
    parts += [f"<lora:{name}:{weight}>" for name, weight in loras]
    return {
        "positive": ", ".join(parts),
        "negative": source.choice(NEGATIVES),
        "loras": [{"name": name, "weight": weight} for name, weight in loras],
    }


def build_record(
    options: Options,
    chance: random.Random,
    run_id: str,
    started: datetime,
    index: int,
    total: int,
    config: dict[str, Any],
    override: dict[str, Any],
    prompt: dict[str, Any],
    pack: tuple[str, str],
    has_failed: bool,
) -> tuple[dict[str, Any], dict[str, tuple[bytes, str]], datetime]:
    settings = config["txt2img"] | {name.partition(".")[2]: value for name, value in override.items()}
    seed = chance.getrandbits(32)
    seconds = round(settings["steps"] * settings["width"] * settings["height"] / 512**2 * 0.11 + chance.random(), 3)
    finished = started + timedelta(seconds=seconds)
    outputs: dict[str, tuple[bytes, str]] = {}
    references = []
    stages = ["txt2img", "upscale"] if "upscale" in config else ["txt2img"]
    for stage in [] if has_failed or options.outputs == "none" else stages:
        reference, data, sha256 = build_output(options, chance, settings, seed, index, stage, stages[-1] == stage)
        outputs[reference["path"]] = (data, sha256)
        references.append(reference)
    fields = {
        "kind": "stablenew.learning_record",
        "schema_version": "1.0",
        "run_id": run_id,
        "variant": {"index": index, "total": total, "mode": "fanout", "overrides": override},
        "started_at": format_timestamp(started),
        "finished_at": format_timestamp(finished),
        "duration_seconds": seconds,
        "status": "failed" if has_failed else "completed",
        "prompt": prompt | {"pack_id": pack[0], "pack_name": pack[1], "prompt_id": f"{pack[0]}/{index}"},
        "requested": settings | {"seed": -1},
        "actual": settings | {"seed": seed},
        "stages": [build_stage(stage, started, seconds, references) for stage in stages],
        "outputs": references,
    }
    if has_failed:
        fields["error"] = {"type": "OutOfMemory", "message": "the engine ran out of memory"}
    return fields, outputs, finished


def build_stage(name: str, started: datetime, seconds: float, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    count = sum(output["stage"] == name for output in outputs)
    return {
        "name": name,
        "status": "completed" if count else "failed",
        "started_at": format_timestamp(started),
        "duration_seconds": seconds,
        "output_count": count,
    }


def build_output(
    options: Options, chance: random.Random, settings: dict[str, Any], seed: int, index: int, stage: str, is_final: bool
) -> tuple[dict[str, Any], bytes, str]:
    data, sha256, fields = picture(settings["width"], settings["height"], seed, options.outputs, chance.randrange(24))
    reference = fields | {
        "path": output_name(index, stage, 0, fields["digest"], fields["media_type"]),
        "stage": stage,
        "role": "final" if is_final else "intermediate",
        "seed": seed,
    }
    return reference, data, sha256


def picture(width: int, height: int, seed: int, outputs: str, number: int) -> tuple[bytes, str, dict[str, Any]]:
    if outputs == "links":
        return tiny_picture(number)
    if outputs == "named":
        data, sha256, fields = tiny_picture(number)
        return data, sha256, fields | {"digest": digest_json([seed, number]), "width": width, "height": height}
    return describe(draw(width, height, seed))


@cache
def tiny_picture(number: int) -> tuple[bytes, str, dict[str, Any]]:
    return describe(draw(64, 64, number))


def describe(data: bytes) -> tuple[bytes, str, dict[str, Any]]:
    fields = build_image(data, variant=0, stage="txt2img", number=0).reference.to_dict()
    kept = ("digest", "size_bytes", "media_type", "width", "height")
    return data, hashlib.sha256(data).hexdigest(), {name: fields[name] for name in kept}


def draw(width: int, height: int, seed: int) -> bytes:
    from stablenew.engines.engine import StageMonitor, StageRequest
    from stablenew.engines.sketch import SketchEngine

    settings = {"width": width, "height": height, "seed": seed, "steps": 20, "cfg_scale": 7.0, "sampler": "Euler a"}
    request = StageRequest("txt2img", settings, f"picture {seed}")
    return SketchEngine().run_stage(request, StageMonitor()).images[0].data


def build_metadata(
    run_id: str,
    created: datetime,
    finished: datetime,
    status: str,
    pack: tuple[str, str],
    config: dict[str, Any],
    tags: list[str],
    overrides: list[dict[str, Any]],
    records: list[dict[str, Any]],
) -> dict[str, Any]:
    by_stage: dict[str, list[str]] = {}
    for record in records:
        for output in record["outputs"]:
            by_stage.setdefault(output["stage"], []).append(output["path"])
    return {
        "$schema": "../.stablenew/schemas/v1/run_metadata.schema.json",
        "kind": "stablenew.run_metadata",
        "schema_version": "1.0",
        "run_id": run_id,
        "created_at": format_timestamp(created),
        "status": status,
        "source": {"name": "StableNew", "version": "0.1.0", "engine": "webui", "host_id": "desk-7f3a"},
        "packs": [{"id": pack[0], "name": pack[1]}],
        "learning_tags": tags,
        "config": config,
        "config_digest": digest_json(config),
        "variant_plan": {"mode": "fanout", "size": len(overrides), "axes": []},
        "finished_at": format_timestamp(finished),
        "duration_seconds": round((finished - created).total_seconds(), 3),
        "record_count": len(records),
        "output_count": sum(len(record["outputs"]) for record in records),
        "stages": [{"name": name, "outputs": paths} for name, paths in by_stage.items()],
    }


def build_opinions(
    run_id: str, records: list[dict[str, Any]], finished: datetime, chance: random.Random
) -> dict[str, bytes]:
    rater = chance.choice(RATERS)
    clock = format_timestamp(finished + timedelta(minutes=chance.randrange(1, 600))) + "-0000"
    said = [*iter_opinions(records, chance)]
    events = [build_event(clock=clock, replica="desk-7f3a", rater=rater, op=op, **fields) for op, fields in said]
    lines = b"".join(event.encode_line() + b"\n" for event in events)
    document = build_feedback(run_id, events).encode_document()
    return {"feedback.json": document, "feedback.desk-7f3a.jsonl": lines}


def iter_opinions(records: list[dict[str, Any]], chance: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    finals = [output["digest"] for record in records for output in record["outputs"] if output["role"] == "final"]
    if chance.random() < 0.4:
        yield "rate", {"image_id": None, "rating": chance.choices(range(6), [5, 15, 25, 30, 18, 7])[0]}
    for image in dict.fromkeys(finals):
        yield "rate", {"image_id": image, "rating": chance.choices(range(6), [5, 15, 25, 30, 18, 7])[0]}
        if chance.random() < 0.15:
            yield "tag", {"image_id": image, "tag": chance.choice(TAGS), "present": True}
        if chance.random() < 0.1:
            yield "flag", {"image_id": image, "flag": chance.choice(["pick", "reject"])}


if __name__ == "__main__":
    main()
