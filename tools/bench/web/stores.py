"""Stores to look at: with pictures, or an index of very many made-up images with thumbnails for some of them."""

import os
import random
import sys
from pathlib import Path
from typing import Any

THUMBNAIL_SIZES = (320, 512, 1024)
_PATTERNS = 6
_ROWS_AT_ONCE = 400


def make_pictures(folder: Path) -> None:
    """Four runs of twelve pictures of 1024 pixels."""
    from stablenew import PipelineConfig, PipelineRunner, Prompt, RunStore, SketchEngine, VariantPlan
    from stablenew.pipeline.randomizer import SWEEP, Axis

    runner = PipelineRunner(SketchEngine(), run_store=RunStore(folder))
    config = PipelineConfig(txt2img={"width": 1024, "height": 1024, "seed": 3})
    for prompt in ("a quiet harbour", "a lake at noon", "a desert at night", "a forest"):
        values = tuple(float(value) for value in range(1, 13))
        runner.run(config, plan=VariantPlan((Prompt(prompt),), sweeps=(Axis(SWEEP, "txt2img.cfg_scale", values),)))


def fill_index(folder: Path, jobs: int) -> None:
    """An index of made-up images without folders: 2.6 a job on average."""
    _example_images().fill(folder, jobs, 0)


def fill_grid(folder: Path) -> None:
    """An index of 26,000 images in which two settings have 100 values each: a grid of 10,000 cells."""
    from stablenew.formats.settings import INDEXED

    examples = _example_images()
    build, names = examples.build_variant, [setting.name for setting in INDEXED]

    def build_spread(chance: random.Random, *rest: Any) -> Any:
        variant = build(chance, *rest)
        values = dict(zip(names, variant.settings, strict=True))
        values |= {"cfg_scale": 1 + 0.25 * chance.randrange(100), "steps": 1 + chance.randrange(100)}
        return variant._replace(settings=tuple(values.values()))

    examples.build_variant = build_spread
    examples.fill(folder, 10_000, 0)


def _example_images() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[1] / "history"))
    import images  # type: ignore[import-not-found]

    return images


def link_thumbnails(folder: Path, query: str = "", count: int = 5_000) -> None:
    """Thumbnails for the newest images of an index: a few pictures, under the names of all."""
    from stablenew.index.job_history import JobHistory
    from stablenew.store.local_state import thumbnail_folder, thumbnail_path

    history = JobHistory(folder, rater="me")
    numbers = history.image_snapshot(query, sort="newest").images[:count].tolist()
    place = thumbnail_folder()
    place.mkdir(parents=True, exist_ok=True)
    sources = {}
    for number in range(_PATTERNS):
        for size, data in make_patterns(number).items():
            sources[number, size] = place / f"pattern-{number}-{size}"
            sources[number, size].write_bytes(data)
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        for row in history.image_rows(numbers[start : start + _ROWS_AT_ONCE]):
            for size in THUMBNAIL_SIZES:
                target = thumbnail_path(place, row["digest"], size)
                target.parent.mkdir(exist_ok=True)
                if not target.exists():
                    os.link(sources[row["id"] % _PATTERNS, size], target)
    history.close()


def make_patterns(number: int) -> dict[int, bytes]:
    """The thumbnails of a picture of soft noise: as large as those of photographs."""
    import io

    import numpy as np
    from PIL import Image

    from stablenew.web.pictures.thumbnail_making import make_thumbnails

    noise = np.random.default_rng(number).integers(0, 255, (48, 48, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((1024, 1024), Image.Resampling.BICUBIC).save(buffer, "PNG", compress_level=0)
    return make_thumbnails(buffer.getvalue())
