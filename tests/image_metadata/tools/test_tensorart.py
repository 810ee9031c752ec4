"""TensorArt."""

import json

from tests.image_metadata.graph_files import base_graph
from tests.image_metadata.tools.reading import holds, read_texts


def test_tensorart_asks_the_graph_for_the_seed_it_left_open():
    data = {
        "prompt": "a harbour",
        "negativePrompt": "fog",
        "steps": 25,
        "cfgScale": 7,
        "seed": "-1",
        "clipSkip": 2,
        "baseModel": {"modelFileName": "tiny", "hash": "A5"},
        "ksamplerName": "euler_ancestral",
        "schedule": "karras",
    }
    found = read_texts({"generation_data": json.dumps(data) + " ", "prompt": json.dumps(base_graph())})
    assert (found.tool, found.prompt, found.negative_prompt) == ("TensorArt", "a harbour", "fog")
    assert holds(found, seed=42, model="tiny", model_hash="A5", clip_skip=2, sampler="Euler a")
