"""Nodes that load, encode and sample in one: what they are given stands in their own inputs."""

import json

import pytest

from stablenew.image_metadata.graphs.outputs import read_outputs
from tests.image_metadata.graph_files import base_graph, node
from tests.image_metadata.tools.reading import read_texts

LOADER = {
    "ckpt_name": "tiny.safetensors", "clip_skip": -2, "positive": "a cat", "negative": "dog",
    "empty_latent_width": 64, "empty_latent_height": 48, "lora_name": "None",
}  # fmt: skip
SAMPLER = {"seed": 5, "steps": 20, "cfg": 7, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}
SAVED_BY_ITSELF = [
    {"1": node("easy fullLoader", **LOADER), "2": node("easy fullkSampler", pipe=["1", 0], **SAMPLER)},
    {"1": node("ttN pipeLoader", seed=9, **LOADER), "2": node("ttN pipeKSampler", pipe=["1", 0], **SAMPLER)},
]
EFFICIENT = {
    "1": node("Efficient Loader", **LOADER),
    "2": node(
        "KSampler (Efficient)", model=["1", 0], positive=["1", 1], negative=["1", 2], latent_image=["1", 3], **SAMPLER
    ),
    "3": node("SaveImage", images=["2", 5]),
}


def test_a_loader_whose_first_output_is_the_model_gives_each_role_its_own_text():
    (output,) = read_outputs(EFFICIENT)
    assert (output.prompt, output.negative_prompt) == ("a cat", "dog")
    settings = {"seed": 5, "steps": 20, "model": "tiny.safetensors", "clip_skip": 2, "width": 64, "height": 48}
    assert settings.items() <= output.settings.items()


def test_texts_that_are_linked_to_such_a_loader_keep_their_roles():
    loader = LOADER | {"positive": ["4", 0], "negative": ["5", 0]}
    texts = {"4": node("Text Multiline", text="a cat"), "5": node("Text Multiline", text="dog")}
    (output,) = read_outputs(EFFICIENT | texts | {"1": node("Efficient Loader", **loader)})
    assert (output.prompt, output.negative_prompt) == ("a cat", "dog")


@pytest.mark.parametrize("graph", SAVED_BY_ITSELF, ids=["easy", "ttN"])
def test_a_sampler_that_saves_its_image_itself_is_the_pass(graph):
    (output,) = read_outputs(graph)
    assert (output.prompt, output.negative_prompt) == ("a cat", "dog")
    assert {"seed": 5, "steps": 20, "model": "tiny.safetensors"}.items() <= output.settings.items()


def test_of_wildcards_the_text_that_was_chosen_is_the_prompt():
    chosen = node("ImpactWildcardEncode", wildcard_text="{a|b} cat", populated_text="a cat", clip=["4", 1])
    (output,) = read_outputs(base_graph(**{"6": chosen}))
    assert output.prompt == "a cat"


def test_a_reroute_without_names_is_stepped_over():
    sampler = base_graph()["3"]["inputs"] | {"model": ["20", 0]}
    graph = base_graph(**{"3": node("KSampler", **sampler), "20": {"class_type": "Reroute", "inputs": {"": ["4", 0]}}})
    assert read_outputs(graph)[0].settings["model"] == "tiny.safetensors"


def test_a_graph_that_was_written_as_a_json_text_is_read():
    assert read_texts({"prompt": json.dumps(json.dumps(base_graph()))}).settings["seed"] == 42
