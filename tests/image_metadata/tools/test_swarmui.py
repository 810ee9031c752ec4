"""SwarmUI."""

import json

import pytest

from stablenew.image_metadata.metadata import Lora
from tests.image_metadata.tools.reading import holds, read_comment, read_texts


def swarm(**more):
    said = {"prompt": "a cat", "model": "base/tiny", "seed": 1, "steps": 20, "cfgscale": 4.5, "width": 64, "height": 48}
    said |= {"sampler": "euler_ancestral", "scheduler": "karras", "loras": ["ink"], "loraweights": ["0.5"], **more}
    models = [
        {"name": "base/tiny.safetensors", "param": "model", "hash": "0xab"},
        {"name": "ink.safetensors", "param": "loras", "hash": "0xcd"},
    ]
    return json.dumps(
        {
            "sui_image_params": said | {"swarm_version": "0.9.7"},
            "sui_extra_data": {"date": "2026-01-03"},
            "sui_models": models,
        }
    )


@pytest.mark.parametrize("order", ["be", "le"])
def test_swarmui(order):
    found = read_comment(swarm(), order=order)
    assert (found.tool, found.tool_version, found.prompt, found.negative_prompt) == ("SwarmUI", "0.9.7", "a cat", None)
    assert holds(found, model="base/tiny", model_hash="ab", sampler="Euler a", cfg_scale=4.5)
    assert (found.loras, found.made_at) == ((Lora("ink", 0.5, "cd"),), "2026-01-03")


def test_a_grid_of_swarmui_has_as_many_images_as_were_asked_for():
    def kind(count, size):
        return read_texts({"parameters": swarm(images=count)}, size=size).kind

    assert (kind(3, (192, 48)), kind(1, (64, 48)), kind(4, (64, 48))) == ("grid", "image", "image")
