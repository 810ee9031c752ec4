"""InvokeAI, three generations."""

import json

from stablenew.image_metadata.metadata import Lora
from tests.image_metadata.tools.reading import holds, read_texts


def test_invokeai_of_today():
    data = {
        "positive_prompt": "a harbour",
        "negative_prompt": "fog",
        "width": 64,
        "height": 48,
        "seed": 5,
        "steps": 24,
        "cfg_scale": 6.0,
        "scheduler": "dpmpp_2m_k",
        "app_version": "6.10.0",
        "model": {"name": "tiny", "hash": "blake3:7c", "base": "sdxl"},
        "loras": [{"model": {"name": "ink", "hash": "blake3:aa"}, "weight": 0.7}],
    }
    found = read_texts({"invokeai_metadata": json.dumps(data), "invokeai_graph": "{}"})
    assert (found.tool, found.tool_version, found.prompt, found.negative_prompt) == (
        "InvokeAI",
        "6.10.0",
        "a harbour",
        "fog",
    )
    assert holds(found, sampler="DPM++ 2M", scheduler="Karras", seed=5, model="tiny", model_hash="blake3:7c")
    assert found.loras == (Lora("ink", 0.7, "blake3:aa"),)


def test_invokeai_of_the_second_generation():
    image = {
        "prompt": [{"prompt": "a harbour [fog]", "weight": 1.0}],
        "seed": 5,
        "sampler": "k_lms",
        "cfg_scale": 5,
        "steps": 50,
    }
    data = {"model_weights": "tiny", "model_hash": "56d1", "app_version": "2.3.0", "image": image}
    found = read_texts({"sd-metadata": json.dumps(data), "Dream": "ignored -S 1"})
    assert (found.prompt, found.negative_prompt, found.tool_version) == ("a harbour", "fog", "2.3.0")
    assert holds(found, sampler="LMS", seed=5, model="tiny", model_hash="56d1")


def test_invokeai_of_the_first_generation():
    found = read_texts({"Dream": '"a "small" harbour [fog]" -s 50 -S 298 -W 512 -H 768 -C 5 -A k_euler_a'})
    assert (found.prompt, found.negative_prompt) == ('a "small" harbour', "fog")
    assert holds(found, steps=50, seed=298, width=512, height=768, cfg_scale=5.0, sampler="Euler a")
