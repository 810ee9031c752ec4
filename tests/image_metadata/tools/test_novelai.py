"""NovelAI."""

import json

from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import make_exif, make_image
from tests.image_metadata.tools.reading import holds, read_texts

NOVELAI = {
    "prompt": "two girls",
    "uc": "lowres",
    "steps": 28,
    "scale": 5.0,
    "seed": 17,
    "sampler": "k_euler_ancestral",
    "noise_schedule": "karras",
    "width": 64,
    "height": 48,
    "signed_hash": "x",
    "v4_prompt": {
        "caption": {"base_caption": "two girls", "char_captions": [{"char_caption": "left"}, {"char_caption": "right"}]}
    },
}


def test_novelai_in_a_png_and_in_a_webp():
    texts = {"Title": "NovelAI generated image", "Software": "NovelAI", "Source": "NovelAI Diffusion V4.5 4BDE2A90"}
    texts["Comment"] = json.dumps(NOVELAI)
    comment = b"ASCII\0\0\0" + json.dumps(texts).encode()
    webp = make_image("WEBP", exif=make_exif({0x0131: b"NovelAI Diffusion V4.5 4BDE2A90"}, inner={0x9286: comment}))
    for found in (read_texts(texts), read_image_metadata(webp).generation):
        assert (found.tool, found.prompt, found.negative_prompt) == ("NovelAI", "two girls | left | right", "lowres")
        assert holds(found, sampler="Euler a", scheduler="Karras", seed=17, cfg_scale=5.0)
        assert holds(found, model="NovelAI Diffusion V4.5", model_hash="4BDE2A90")
