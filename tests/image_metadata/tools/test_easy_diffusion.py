"""Easy Diffusion."""

import json

from tests.image_metadata.tools.reading import holds, read_comment, read_texts


def test_easy_diffusion_in_a_png_and_in_a_jpeg():
    data = {
        "prompt": "a harbour",
        "negative_prompt": "fog",
        "seed": 5,
        "use_stable_diffusion_model": "tiny",
        "clip_skip": True,
        "num_inference_steps": 25,
        "guidance_scale": 7.5,
        "sampler_name": "euler_a",
        "width": 64,
        "height": 48,
    }
    for found in (read_texts({name: str(value) for name, value in data.items()}), read_comment(json.dumps(data))):
        assert (found.tool, found.prompt, found.negative_prompt) == ("Easy Diffusion", "a harbour", "fog")
        assert holds(found, seed=5, steps=25, cfg_scale=7.5, model="tiny", clip_skip=2)


def test_a_switch_that_is_no_switch_spoils_nothing_else():
    for odd in ({}, [1], None, 3):
        data = {"prompt": "a harbour", "use_stable_diffusion_model": "tiny", "clip_skip": odd, "seed": 5}
        found = read_comment(json.dumps(data))
        assert (found.tool, found.prompt) == ("Easy Diffusion", "a harbour")
        assert holds(found, seed=5, model="tiny")
