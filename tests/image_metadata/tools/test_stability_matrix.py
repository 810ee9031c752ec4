"""Stability Matrix."""

import json

from tests.image_metadata.graph_files import base_graph
from tests.image_metadata.tools.reading import holds, read_texts, with_version


def test_stability_matrix():
    data = {
        "PositivePrompt": "a\r\nharbour",
        "NegativePrompt": "fog",
        "Steps": 20,
        "Sampler": "Euler Ancestral Karras",
        "CfgScale": 5,
        "Seed": 207,
        "Height": 48,
        "Width": 64,
        "ModelHash": "A5",
        "ModelName": "tiny.safetensors",
    }
    found = read_texts(
        {"parameters-json": json.dumps(data), "prompt": json.dumps(base_graph()), "parameters": with_version("")}
    )
    assert (found.tool, found.prompt, found.negative_prompt) == ("Stability Matrix", "a\nharbour", "fog")
    assert holds(found, sampler="Euler a", scheduler="Karras", seed=207, model_hash="A5")
