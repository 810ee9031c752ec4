"""Thirty graphs of a user's own: what is recorded of each image is what the history and the image itself say.

The test reads both by itself: from the output node back to the first sampler, as ComfyUI's links lead.
"""

import copy
import itertools
import json

import pytest
from PIL import Image

from stablenew import PipelineConfig, PipelineController, RunStore
from stablenew.engines.comfyui.engine import ComfyUIEngine
from stablenew.formats.common_names import checkpoint_stem
from tests.engines.comfyui.test_engine import OWN
from tests.engines.comfyui_server import FakeComfyUI, serving
from tests.engines.engine_contract import PROMPT

SAMPLERS = {"euler": "Euler", "ddim": "DDIM", "dpmpp_2m": "DPM++ 2M", "euler_ancestral": "Euler a"}
SCHEDULES = {"normal": "Normal", "karras": "Karras", "simple": "Simple"}
LOADER = {
    "class_type": "LoraLoader",
    "inputs": {
        "lora_name": "detail/more_details.safetensors", "strength_model": 0.7, "strength_clip": 0.5,
        "model": ["4", 0], "clip": ["4", 1],
    },
}  # fmt: skip


def plain():
    graph = copy.deepcopy(OWN)
    del graph["10"]
    graph["5"]["inputs"]["batch_size"] = 1
    return graph


def two_passes():
    graph = plain()
    graph["20"] = {
        "class_type": "LatentUpscaleBy",
        "inputs": {"upscale_method": "bilinear", "scale_by": 1.5, "samples": ["3", 0]},
    }
    again = {**graph["3"]["inputs"], "latent_image": ["20", 0], "denoise": 0.5, "steps": 7}
    graph["21"] = {"class_type": "KSampler", "inputs": again}
    graph["8"]["inputs"]["samples"] = ["21", 0]
    return graph


def custom_sampler():
    graph = plain()
    graph |= {
        "30": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
        "31": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "ddim"}},
        "32": {
            "class_type": "BasicScheduler",
            "inputs": {"scheduler": "simple", "steps": 12, "denoise": 1.0, "model": ["4", 0]},
        },
        "33": {
            "class_type": "CFGGuider",
            "inputs": {"cfg": 3.0, "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0]},
        },
        "3": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {
                "noise": ["30", 0], "guider": ["33", 0], "sampler": ["31", 0], "sigmas": ["32", 0],
                "latent_image": ["5", 0],
            },
        },
    }  # fmt: skip
    return graph


def two_branches():
    graph = plain()
    graph["40"] = {"class_type": "KSampler", "inputs": {**graph["3"]["inputs"], "steps": 9, "sampler_name": "euler"}}
    graph["41"] = {"class_type": "VAEDecode", "inputs": {"samples": ["40", 0], "vae": ["4", 2]}}
    graph["42"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "b", "images": ["41", 0]}}
    return graph


def both_saved():
    graph = two_passes()
    graph["50"] = {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}}
    graph["51"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "base", "images": ["50", 0]}}
    return graph


def with_lora(graph):
    changed = json.loads(json.dumps(graph).replace('["4", 0]', '["60", 0]').replace('["4", 1]', '["60", 1]'))
    return {**changed, "60": LOADER}


def with_numbers_elsewhere(graph):
    """Width and text in nodes of their own."""
    graph = copy.deepcopy(graph)
    graph["70"] = {"class_type": "PrimitiveInt", "inputs": {"value": graph["5"]["inputs"]["width"]}}
    graph["71"] = {"class_type": "PrimitiveString", "inputs": {"value": "a bottle"}}
    graph["5"]["inputs"]["width"], graph["6"]["inputs"]["text"] = ["70", 0], ["71", 0]
    return graph


BASES = [plain, two_passes, custom_sampler, two_branches, both_saved]
SHAPES = [lambda graph: graph, with_lora, with_numbers_elsewhere]
ASKED = [
    {},
    {"seed": 2**40 + 3, "steps": 4, "cfg_scale": 5.5, "sampler": "Euler a", "scheduler": "Karras", "width": 64},
]
GRAPHS = list(itertools.product(BASES, SHAPES, ASKED))


def value_of(graph, node, name):
    """An input's value, where its link leads if it is one."""
    value = graph[node]["inputs"][name]
    return value_of(graph, value[0], "value") if isinstance(value, list) else value


def behind(graph, node, wanted):
    """The nearest node of a class on the way back from `node`, along its first links."""
    for value in graph[node]["inputs"].values():
        if isinstance(value, list):
            found = value[0] if graph[value[0]]["class_type"] in wanted else behind(graph, value[0], wanted)
            if found:
                return found
    return None


def read(graph, output):
    """What a graph says of the images of an output node: of its first sampler."""
    last = sampler = behind(graph, output, {"KSampler", "SamplerCustomAdvanced"})
    while (before := behind(graph, sampler, {"KSampler", "SamplerCustomAdvanced"})) is not None:
        sampler = before
    parts = {
        name: graph[sampler]["inputs"].get(name, [sampler])[0] for name in ("noise", "guider", "sampler", "sigmas")
    }
    is_custom = graph[sampler]["class_type"] == "SamplerCustomAdvanced"
    guider = parts["guider"]
    size = graph[behind(graph, sampler, {"EmptyLatentImage"})]["inputs"]
    facts = {
        "seed": value_of(graph, parts["noise"], "noise_seed" if is_custom else "seed"),
        "steps": value_of(graph, parts["sigmas"], "steps"),
        "cfg_scale": value_of(graph, guider, "cfg"),
        "sampler": SAMPLERS[value_of(graph, parts["sampler"], "sampler_name")],
        "scheduler": SCHEDULES[value_of(graph, parts["sigmas"], "scheduler")],
        "prompt": value_of(graph, graph[guider]["inputs"]["positive"][0], "text"),
        "negative_prompt": value_of(graph, graph[guider]["inputs"]["negative"][0], "text"),
        "model_file": graph[behind(graph, guider, {"CheckpointLoaderSimple"})]["inputs"]["ckpt_name"],
        "passes": 1 if last == sampler else 2,
        "loras": ["more_details"] if behind(graph, guider, {"LoraLoader"}) else [],
    }
    height = size["height"]
    return facts, (value_of(graph, behind(graph, sampler, {"EmptyLatentImage"}), "width"), height)


def recorded(record, place):
    """What the record says of the image at that place."""
    actual = record.actual.to_dict()
    mine = next((entry for entry in actual.get("by_node", ()) if place in entry["images"]), actual)
    return {
        **{name: mine[name] for name in ("seed", "steps", "cfg_scale", "sampler", "scheduler", "model_file")},
        "prompt": mine.get("prompt", record.prompt.positive),
        "negative_prompt": mine.get("negative_prompt", record.prompt.negative),
        "passes": len(mine.get("passes") or [1]),
        "loras": [checkpoint_stem(lora["name"]) for lora in mine.get("loras") or ()],
    }


@pytest.fixture(scope="module")
def comfyui():
    fake = FakeComfyUI()
    with serving(fake) as fake.url:
        yield fake


@pytest.mark.parametrize(("base", "shape", "asked"), GRAPHS)
def test_the_record_says_of_each_image_what_history_and_image_say(comfyui, tmp_path, base, shape, asked):
    graph = shape(base())
    extra = {"workflow": graph, "9.filename_prefix": f"{tmp_path.name}"}
    if "40" in graph:  # two branches that differ: somebody has to say which is meant
        extra |= {"bind.steps": "3.steps", "bind.sampler": "3.sampler_name"}
    config = PipelineConfig(prompt=PROMPT, learning_enabled=True, txt2img={**asked, "extra": extra})
    engine = ComfyUIEngine(comfyui.url, poll_seconds=0.02)
    result = PipelineController(engine=engine, runs_dir=tmp_path / "runs").run(config)
    assert result.status == "completed", result.error
    (run,) = RunStore(tmp_path / "runs").iter_runs()
    (record,) = run.iter_records()
    history = next(reversed(comfyui.history.values()))
    assert record.outputs
    seen = set()
    for place, output in enumerate(record.outputs):
        with Image.open(run.path / output.path) as image:
            node, inside = image.text["node"], json.loads(image.text["prompt"])
            size = image.size
        expected, asked_size = read(history["prompt"][2], node)
        assert read(inside, node)[0] == expected, "the image says what the history says"
        assert recorded(record, place) == expected
        assert (output.width, output.height) == size
        scale = 1.5 if expected["passes"] == 2 else 1
        assert size == tuple(round(side * scale) for side in asked_size)
        seen.add(node)
    assert seen == {node for node, kept in history["outputs"].items() if kept["images"]}


def test_there_are_thirty():
    assert len(GRAPHS) == 30
