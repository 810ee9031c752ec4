"""Spaces of Hugging Face."""

import json

from tests.image_metadata.tools.reading import holds, read_texts


def test_a_hugging_face_space():
    data = {
        "prompt": "a harbour",
        "negative_prompt": "fog",
        "resolution": "64 x 48",
        "guidance_scale": 5.5,
        "num_inference_steps": 20,
        "seed": 19,
        "sampler": "DPM++ 2M Karras",
        "Model": "tiny",
        "Model hash": "BD",
    }
    found = read_texts({"parameters": json.dumps(data)})
    assert (found.tool, found.prompt) == ("Hugging Face Space", "a harbour")
    assert holds(found, width=64, height=48, steps=20, seed=19, sampler="DPM++ 2M", model="tiny", model_hash="BD")
