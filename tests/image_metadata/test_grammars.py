"""Ways in which programs write what others write otherwise: versions, converters, lost line breaks, odd places."""

import json

import pytest

from stablenew.image_metadata.reading import read_image_metadata, read_sidecar
from tests.image_metadata.files import exif_with_comment, make_exif, make_image, make_mp4, make_png, png_chunk
from tests.image_metadata.tools.reading import holds, read_comment, read_texts

LINE = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x48"


def read_text(text):
    return read_texts({"parameters": text})


@pytest.mark.parametrize(
    ("text", "prompt", "negative"),
    [
        (
            "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a,\nCFG scale: 7, Seed: 5, Size: 64x48",
            "a cat",
            "dog",
        ),
        ("a cat\nSteps: 20\nSampler: Euler a\nCFG scale: 7\nSeed: 5\nSize: 64x48", "a cat", None),
        (f"a cat\nNegative Prompt: dog\n{LINE}", "a cat", "dog"),
        (f"a cat. {LINE}", "a cat.", None),
        (f"a cat\nNegative prompt: dog {LINE}", "a cat", "dog"),
        (f"a cat Negative prompt: dog {LINE}", "a cat", "dog"),
        (f"a cat\nNegative prompt: dog\n{LINE}\nTime taken: 8.2 sec.", "a cat", "dog"),
        (f"a cat\nNegative prompt: dog\n{LINE}, Version: v1.6\nWildcard prompt: a __x__, b", "a cat", "dog"),
        (f"a sign that reads Steps: 12, go up\n{LINE}", "a sign that reads Steps: 12, go up", None),
        ("a cat\nSampler: Euler a, Steps: 20, CFG scale: 7, Seed: 5, Size: 64x48", "a cat", None),
    ],
)
def test_a_text_of_the_webuis_is_read_however_its_lines_are_broken(text, prompt, negative):
    found = read_text(text)
    assert (found.prompt, found.negative_prompt) == (prompt, negative)
    assert holds(found, seed=5, steps=20, sampler="Euler a", cfg_scale=7.0, width=64)


@pytest.mark.parametrize(
    "text", ["Seed: a story. Model: T, Version: 2", "Model: Canon, Seed: none, Size: large", "Steps: first, Seed: then"]
)
def test_prose_with_colons_is_no_generation(text):
    assert not read_image_metadata(make_png({"Description": text})).has_generation_data


@pytest.mark.parametrize(
    "line",
    [
        "Parser: Full parser, Model: tiny, Backend: Diffusers, Version: 1a2b3c4, Operations: txt2img",
        "Model: tiny, Backend: Original, Version: 90afba3, Token merging ratio: 0.3",
    ],
)
def test_sd_next_of_2023_is_told_from_other_webuis(line):
    assert read_text(f"a cat\n{LINE}, {line}").tool == "SD.Next"


def test_what_a_converter_kept_of_a_png_as_json_is_read_as_in_the_png():
    said = {"positive_prompt": "a cat", "seed": 5, "app_version": "5.0"}
    for inner in (said, json.dumps(said)):
        found = read_comment(json.dumps({"invokeai_metadata": inner, "invokeai_graph": "{}"}), "WEBP", "le")
        assert (found.tool, found.prompt) == ("InvokeAI", "a cat")
        assert holds(found, seed=5)
    assert holds(read_comment(json.dumps({"parameters": f"a cat\n{LINE}"})), seed=5)
    assert read_image_metadata(make_mp4({"invokeai_metadata": json.dumps(said)})).tool == "InvokeAI"


def test_imagemagick_keeps_exif_of_a_jpeg_as_hexadecimal_digits():
    exif = b"Exif\0\0" + exif_with_comment(f"a cat\n{LINE}")
    profile = f"\ngeneric\n{len(exif):8d}\n{exif.hex()}\n".encode()
    found = read_image_metadata(make_png(chunks=[(b"tEXt", b"Raw profile type APP1\0" + profile)]))
    assert holds(found.generation, seed=5)
    assert png_chunk(b"tEXt", b"") in make_png(chunks=[(b"tEXt", b"")])


def test_older_invokeai_writes_options_with_their_values_attached_and_several_images():
    found = read_texts({"Dream": '"a cat [dog]" -s20 -S5 -W64 -H48 -C7.5 -Ak_euler_a'})
    assert (found.prompt, found.negative_prompt) == ("a cat", "dog")
    assert holds(found, seed=5, steps=20, width=64, sampler="Euler a", cfg_scale=7.5)
    middle = {"model_weights": "tiny", "images": [{"prompt": "a cat", "seed": 5, "steps": 20}]}
    assert holds(read_texts({"sd-metadata": json.dumps(middle)}), seed=5, model="tiny")
    early = {"type": "t2l", "positive_conditioning": "a cat", "negative_conditioning": "dog", "seed": 5}
    assert read_texts({"invokeai": json.dumps(early)}).negative_prompt == "dog"


def test_novelai_writes_its_comment_alone_into_some_jpegs():
    comment = {"prompt": "a cat", "uc": "dog", "scale": 5, "sampler": "k_euler", "seed": 5, "steps": 28}
    found = read_comment(json.dumps(comment))
    assert (found.tool, found.prompt, found.negative_prompt) == ("NovelAI", "a cat", "dog")
    assert holds(found, seed=5, cfg_scale=5.0, sampler="Euler")


def test_swarmui_without_its_outer_object():
    found = read_text(json.dumps({"prompt": "a cat", "seed": 5, "swarm_version": "0.6"}))
    assert (found.tool, found.prompt) == ("SwarmUI", "a cat")


def test_fooocus_of_2023_logs_paragraphs_and_labels():
    log = (
        '<div id="a_png"><p>a.png</p>\n<p>Prompt: <b>a &amp; b</b>, Negative Prompt: <b>dog</b></p>\n'
        "<p>Styles: <b>[]</b>, Performance: <b>Speed</b></p>\n<p>Resolution: <b>(64, 48)</b>, Guidance Scale: <b>4</b>"
        "</p>\n<p>Base Model: <b>tiny</b>, Seed: <b>5</b></p>\n<p>LoRA [ink] weight: <b>0.5</b></p></div>"
    )
    labels = {
        "Prompt": "a & b", "Negative Prompt": "dog", "Performance": "Speed", "Base Model": "tiny", "Seed": 5,
        "Guidance Scale": 4, "LoRA [ink] weight": 0.5,
    }  # fmt: skip
    for found in (
        read_sidecar(log.encode(), "log.html", "a.png").generation,
        read_sidecar(json.dumps(labels).encode(), "a.json").generation,
    ):
        assert (found.tool, found.prompt, found.negative_prompt) == ("Fooocus", "a & b", "dog")
        assert holds(found, seed=5, model="tiny")
        assert [(lora.name, lora.weight) for lora in found.loras] == [("ink", 0.5)]


def test_draw_things_begins_its_negative_prompt_with_a_dash():
    text = f"a cat\n-dog, blue\n{LINE.replace('CFG scale', 'Guidance Scale')}, Seed Mode: Scale Alike"
    data = make_image("JPEG", exif=make_exif({0x010E: text.encode(), 0x0131: b"Draw Things\0"}))
    found = read_image_metadata(data).generation
    assert (found.tool, found.prompt, found.negative_prompt) == ("Draw Things", "a cat", "dog, blue")
    assert holds(found, seed=5, cfg_scale=7.0)


EASY = {
    "Prompt": "a cat", "Negative Prompt": "dog", "Seed": "5", "Stable Diffusion model": "tiny", "Sampler": "euler_a",
    "Steps": "20", "Guidance Scale": "7.5", "Use Face Correction": "None", "Prompt Strength": "0.8",
}  # fmt: skip


def test_easy_diffusion_writes_readable_names_requests_and_texts_without_a_model():
    request = {"prompt": "a cat", "negative_prompt": "dog", "seed": 5, "use_stable_diffusion_model": "tiny"}
    lines = [f"{name}: {value}" for name, value in EASY.items() if name not in {"Prompt", "Stable Diffusion model"}]
    for found in (
        read_texts(EASY),
        read_comment(json.dumps(EASY), "WEBP"),
        read_sidecar(json.dumps({"seed": 5, "reqBody": request}).encode(), "a.json").generation,
        read_sidecar("\n".join(["a cat", *lines]).encode(), "a.txt").generation,
    ):
        assert (found.tool, found.prompt, found.negative_prompt) == ("Easy Diffusion", "a cat", "dog")
        assert holds(found, seed=5)
    assert holds(read_texts(EASY), sampler="Euler a", model="tiny")


def test_a_space_names_its_model_in_an_object_of_its_own():
    said = {"prompt": "a cat", "num_inference_steps": 28, "seed": 5, "Model": {"Model": "tiny", "Model hash": "e3c47a"}}
    for key in ("parameters", "metadata"):
        found = read_texts({key: json.dumps(said)})
        assert holds(found, seed=5, model="tiny", model_hash="e3c47a")


@pytest.mark.parametrize(
    "read",
    [
        lambda said: read_text(json.dumps(said)),
        lambda said: read_comment(json.dumps(said)),
        lambda said: read_texts({name: str(value) for name, value in said.items()}),
        lambda said: read_sidecar(json.dumps(said).encode(), "a.json").generation,
    ],
)
def test_plain_names_of_a_program_that_nobody_knows_are_understood(read):
    found = read({"prompt": "a cat", "negative_prompt": "dog", "seed": 5, "steps": 20, "model": "tiny"})
    assert (found.tool, found.prompt, found.negative_prompt) == (None, "a cat", "dog")
    assert holds(found, seed=5, steps=20, model="tiny")


def test_an_answer_of_a_webuis_api_beside_an_image_is_its_infotext():
    answer = {"prompt": "", "seed": 9, "infotexts": [f"a cat\nNegative prompt: dog\n{LINE}, Version: v1.10.1"]}
    found = read_sidecar(json.dumps(answer).encode(), "a.json").generation
    assert (found.tool, found.prompt) == ("A1111", "a cat")
    assert holds(found, seed=5)
