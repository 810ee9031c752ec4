"""The checkpoint behind a sampler, its LoRAs, its text encoder and its VAE."""

import pytest

from stablenew.image_metadata.graphs.graph import Graph
from stablenew.image_metadata.graphs.models import Models
from stablenew.image_metadata.graphs.values import Values
from stablenew.image_metadata.metadata import Lora
from tests.image_metadata.graph_files import base_graph, node


def models(**nodes):
    """Models of the usual graph with other nodes in it; `n4` is its checkpoint, and `m` stands before the sampler."""
    changes = {name.removeprefix("n"): value for name, value in nodes.items()}
    graph = base_graph(**changes)
    if "m" in nodes:
        graph["3"]["inputs"]["model"] = ["m", 0]
    found = Graph(graph)
    return Models(found, Values(found))


def model_of(**nodes):
    found = models(**nodes).behind("3").model
    return found and found.value


def loras_of(**nodes):
    return models(**nodes).behind("3").loras


@pytest.mark.parametrize(
    ("loader", "name"),
    [
        (node("CheckpointLoaderSimple", ckpt_name="tiny.safetensors"), "tiny.safetensors"),
        (node("UNETLoader", unet_name="flux"), "flux"),
        (node("UnetLoaderGGUF", gguf_name="flux.gguf"), "flux.gguf"),
        (node("Efficient Loader", base_ckpt_name="base"), "base"),
        (node("NunchakuLoader", model_path="svdq"), "svdq"),
        (node("WanVideoModelLoader", model_name="wan"), "wan"),
        (node("Loader", model="sana"), "sana"),
        (node("UpscaleModelLoader", model_name="4x"), None),
        (node("ControlNetLoader", model_name="canny"), None),
        (node("SomethingElse", model_name="x"), None),
        (node("CheckpointLoaderSimple", ckpt_name=["5", 0]), None),
    ],
)
def test_a_checkpoint_goes_by_the_name_that_its_loader_has_for_it(loader, name):
    assert model_of(n4=loader) == name


def test_the_nearest_checkpoint_counts_and_what_only_guides_is_none():
    refiner = node("CheckpointLoaderSimple", ckpt_name="near", model=["4", 0])
    assert model_of(m=refiner) == "near"
    patched = node("ModelSamplingFlux", model=["4", 0], clip_vision_model=["v", 0])
    assert model_of(m=patched, v=node("CLIPVisionLoader", ckpt_name="vision")) == "tiny.safetensors"


def lora(**inputs):
    return node("LoraLoader", model=["4", 0], **inputs)


@pytest.mark.parametrize(
    ("inputs", "loras"),
    [
        ({"lora_name": "ink", "strength_model": 0.7}, [Lora("ink", 0.7)]),
        ({"lora_name": "ink", "strength": 1}, [Lora("ink", 1.0)]),
        ({"lora": "ink", "weight": -0.5}, [Lora("ink", -0.5)]),
        ({"lora_name": "ink"}, [Lora("ink")]),
        ({"lora_name": "ink", "strength_model": 0}, []),
        ({"lora_name": "None", "strength_model": 1}, []),
        ({"lora_name": "ink", "strength_model": True}, [Lora("ink")]),
        ({"lora_name": "ink", "strength_model": 1e9}, [Lora("ink")]),
        (
            {"lora_1": {"on": True, "lora": "a", "strength": 0.5}, "lora_2": {"on": False, "lora": "b"}},
            [Lora("a", 0.5)],
        ),
        ({"lora_1": {"lora": 5}, "x": {}}, []),
        ({"lora_name_1": "a", "lora_wt_1": 0.5, "lora_name_2": "b", "lora_count": 1}, [Lora("a", 0.5)]),
        ({"lora_01": "a", "strength_01": 0.5, "lora_02": "None"}, [Lora("a", 0.5)]),
        ({"lora_name_1": "a", "switch_1": "Off", "lora_name_2": "b", "switch_2": "On"}, [Lora("b")]),
        ({"lora_1_name": "a", "lora_1_strength": 2, "lora_1_enabled": False, "lora_2_name": "b"}, [Lora("b")]),
        ({"lora_1_name": "a", "lora_1_model_strength": 2}, [Lora("a", 2.0)]),
        ({"text": "<lora:ink:0.7> <lora:wash>"}, [Lora("ink", 0.7), Lora("wash")]),
    ],
)
def test_a_lora_is_known_by_every_way_that_loaders_have_to_write_it(inputs, loras):
    assert list(loras_of(m=lora(**inputs))) == loras


def test_loras_stand_in_the_order_in_which_they_are_applied():
    first = lora(lora_name="first", strength_model=1)
    second = node("LoraLoader", model=["a", 0], lora_name="second", strength_model=1)
    assert [found.name for found in loras_of(m=second, a=first)] == ["first", "second"]


def test_a_node_without_loras_has_none_whatever_it_is_given():
    assert loras_of(m=node("Note", model=["4", 0], text="<lora:ink:1>")) == ()


@pytest.mark.parametrize(("written", "found"), [(-2, 2), (2, 2), (-1, 1), (0, None), ("x", None), (None, None)])
def test_layers_of_the_text_encoder_are_counted_as_the_webuis_do(written, found):
    skip = node("CLIPSetLastLayer", stop_at_clip_layer=written, clip=["4", 1])
    encoder = node("CLIPTextEncode", text="a", clip=["s", 0])
    settings = models(n6=encoder, s=skip).text_encoder_settings("6")
    assert {name: value.value for name, value in settings.items()} == ({} if found is None else {"clip_skip": found})


def test_a_vae_is_named_only_where_it_is_one_of_its_own():
    assert models().vae_of(["8"]) is None
    loader = {"v": node("VAELoader", vae_name="own"), "n8": node("VAEDecode", samples=["3", 0], vae=["v", 0])}
    assert models(**loader).vae_of(["9", "8"]).value == "own"
    assert models(**loader).vae_of([]) is None


def test_a_row_with_a_number_that_nobody_gave_it_is_no_row():
    assert loras_of(m=lora(**{f"lora_{'9' * 5000}": "ink", "lora_count": 2})) == ()
