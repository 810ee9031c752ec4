"""What recording costs beside the same engine with the same requests, whose images are only saved.

python tools/bench/engines/measure.py [--engines webui,comfyui,diffusers] [--images 20] [--seconds 1.0]
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from stablenew import PipelineConfig, PipelineController, StageRequest
from stablenew.engines.engine import Engine, StageMonitor

SIDE = 768
PROMPT = "a quiet harbour at dawn, fishing boats, soft light"
Make = Callable[[int], None]


def settings_of(seed: int) -> dict[str, Any]:
    return {"steps": 10, "width": SIDE, "height": SIDE, "seed": seed, "sampler": "Euler a", "scheduler": "Normal"}


def serve(kind: str, seconds: float, channel: Any) -> None:
    """A stand-in for the server, in a process of its own, whose images are as large as real ones."""
    from PIL import Image

    noise = Image.frombytes("RGB", (SIDE, SIDE), random.Random(1).randbytes(SIDE * SIDE * 3))

    def photo_like(image: Image.Image) -> Image.Image:
        return Image.blend(image.convert("RGB"), noise, 0.2)

    if kind == "webui":
        from tests.engines import webui_server as server

        fake = server.FakeWebUI(seconds_per_image=seconds)
        draw = server.draw
        server.draw = lambda *args: photo_like(draw(*args))
    else:
        from tests.engines import comfyui_server as server

        fake = server.FakeComfyUI(seconds_per_step=seconds / 10)
        sample = fake.sample
        fake.sample = lambda *args: photo_like(sample(*args))
    with server.serving(fake) as url:
        channel.send(url)
        channel.recv()


@contextmanager
def open_engine(kind: str, seconds: float) -> Iterator[Engine]:
    if kind == "diffusers":
        from tests.engines.tiny_diffusion import make_pipeline

        from stablenew.engines.diffusers.engine import DiffusersEngine

        with tempfile.TemporaryDirectory() as folder:
            make_pipeline(Path(folder) / "parts").save_pretrained(Path(folder) / "model")
            yield DiffusersEngine(str(Path(folder) / "model"), device="cpu")
        return
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(kind, seconds, there))
    process.start()
    try:
        from stablenew.engines.engine_registry import open_engine as open_by_name

        yield open_by_name(kind, url=here.recv())
    finally:
        here.send(None)
        process.join(10)


def save_only(engine: Engine, folder: Path) -> Make:
    folder.mkdir()

    def make(seed: int) -> None:
        result = engine.run_stage(StageRequest("txt2img", settings_of(seed), PROMPT), StageMonitor())
        for number, image in enumerate(result.images):
            (folder / f"{seed}-{number}.png").write_bytes(image.data)

    return make


def record(engine: Engine, folder: Path) -> Make:
    controller = PipelineController(engine=engine, runs_dir=folder)

    def make(seed: int) -> None:
        config = PipelineConfig(prompt=PROMPT, learning_enabled=True, txt2img=settings_of(seed))
        result = controller.run(config)
        if result.status != "completed" or result.recording_error:
            raise SystemExit(f"{result.status}: {result.error or result.recording_error}")

    return make


def measure(kind: str, images: int, seconds: float, scratch: Path) -> dict[str, Any]:
    """Both ways in turn, image by image, so that whatever else the machine does meets both."""
    walls: dict[str, list[float]] = {"saved": [], "recorded": []}
    cpus: dict[str, list[float]] = {"saved": [], "recorded": []}
    with open_engine(kind, seconds) as engine:
        ways = {"saved": save_only(engine, scratch / "saved"), "recorded": record(engine, scratch / "recorded")}
        for number in range(images + 1):
            order = list(ways.items()) if number % 2 else list(ways.items())[::-1]
            for place, (name, make) in enumerate(order):
                started = time.perf_counter(), time.process_time()
                make(1000 + 2 * number + place)
                if number:  # the first one warms up
                    walls[name].append(time.perf_counter() - started[0])
                    cpus[name].append(time.process_time() - started[1])
    size = statistics.median(path.stat().st_size for path in (scratch / "saved").iterdir())
    wall = {name: statistics.median(times) for name, times in walls.items()}
    pairs = zip(walls["saved"], walls["recorded"], strict=True)
    overhead = statistics.median(recorded - saved for saved, recorded in pairs)
    cpu = {name: statistics.mean(times) for name, times in cpus.items()}
    return {
        "engine": kind,
        "images": images,
        "bytes": int(size),
        "saved_ms": round(wall["saved"] * 1000, 1),
        "recorded_ms": round(wall["recorded"] * 1000, 1),
        "overhead_ms": round(overhead * 1000, 1),
        "overhead_at_1s_percent": round(overhead * 100, 2),
        "cpu_saved_ms": round(cpu["saved"] * 1000, 1),
        "cpu_recorded_ms": round(cpu["recorded"] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", default="webui,comfyui,diffusers")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="what the server takes for an image")
    chosen = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for kind in chosen.engines.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(measure(kind, chosen.images, chosen.seconds, Path(scratch))), flush=True)


if __name__ == "__main__":
    main()
