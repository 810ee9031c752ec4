"""Civitai's own generator."""

import json

from tests.image_metadata.graph_files import base_graph, node
from tests.image_metadata.tools.reading import read_comment


def test_the_generator_of_civitai():
    asked = {
        "prompt": "a harbour",
        "negativePrompt": "fog",
        "steps": 25,
        "cfgScale": 5,
        "sampler": "euler_ancestral",
        "seed": 13,
    }
    graph = base_graph(**{"4": node("CheckpointLoaderSimple", ckpt_name="urn:air:sdxl:checkpoint:civitai:1@2")})
    found = read_comment(json.dumps(graph | {"extra": {}, "extraMetadata": json.dumps(asked)}))
    assert (found.tool, found.prompt, found.negative_prompt) == ("Civitai", "a harbour", "fog")
    assert found.settings["model"] == "urn:air:sdxl:checkpoint:civitai:1@2"


def test_the_seed_that_was_asked_for_counts_where_the_text_has_none():
    asked = json.dumps({"seed": 77, "quantity": 4})
    text = (
        "a harbour\nSteps: 0, Sampler: GPT-Image-2, CFG scale: 0, Seed: {seed}, Size: 64x48, Civitai metadata: {asked}"
    )
    assert read_comment(text.format(seed=-1, asked=asked)).settings["seed"] == 77
    assert read_comment(text.format(seed=5, asked=asked)).settings["seed"] == 5
    assert "seed" not in read_comment(text.format(seed=-1, asked='{"seed":-1}')).settings
