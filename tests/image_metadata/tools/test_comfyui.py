"""ComfyUI and the many savers of its graphs."""

import json

import pytest

from stablenew.image_metadata.reading import read_image_metadata
from tests.image_metadata.files import make_exif, make_image, make_mp4, make_png, make_webm
from tests.image_metadata.graph_files import base_graph, node
from tests.image_metadata.tools.reading import holds, read_texts

GRAPH, WORKFLOW = json.dumps(base_graph()), json.dumps({"nodes": [], "links": []})
COMFYUI = {
    "png": make_png({"prompt": GRAPH, "workflow": WORKFLOW}),
    "webp": make_image(
        "WEBP", exif=make_exif({0x010F: b"workflow:" + WORKFLOW.encode(), 0x0110: b"prompt:" + GRAPH.encode()})
    ),
    "save-image-extended": make_image(
        "JPEG", exif=make_exif({0x010E: b"Workflow: {}", 0x010F: b"Prompt: " + GRAPH.encode()})
    ),
    "save-image-plus": make_image(
        "JPEG", exif=make_exif({0x9286: json.dumps({"prompt": base_graph(), "workflow": {}}).encode()})
    ),
    "avif": make_image("AVIF", xmp=f"<rdf:D comfy:prompt='{GRAPH}'/>".encode()),
    "mp4": make_mp4({"prompt": GRAPH, "workflow": WORKFLOW}),
    "webm": make_webm({"prompt": GRAPH}),
    "VideoHelperSuite": make_mp4({"comment": json.dumps({"prompt": GRAPH, "workflow": {}})}),
    "a copyright of example workflows": make_image("WEBP", exif=make_exif({0x8298: b"prompt:" + GRAPH.encode()})),
}


@pytest.mark.parametrize("place", COMFYUI)
def test_a_graph_of_comfyui_is_found_wherever_savers_put_it(place):
    said = read_image_metadata(COMFYUI[place])
    found = said.generation
    assert (said.reader, found.tool, found.prompt, found.negative_prompt) == (
        "comfyui",
        "ComfyUI",
        "a quiet harbour",
        "blurry",
    )
    assert holds(found, seed=42, model="tiny.safetensors", sampler="Euler a", scheduler="Karras")


def test_a_graph_and_the_text_of_its_saver_complete_each_other():
    text = "unknown\nNegative prompt: unknown\nSteps: 20, Sampler: x, Seed: 0, Model hash: 217daae812, Version: ComfyUI"
    found = read_texts({"parameters": text, "prompt": json.dumps(base_graph())})
    assert (found.prompt, found.negative_prompt) == ("a quiet harbour", "blurry")
    assert holds(found, seed=42, model_hash="217daae812")
    graph = base_graph(**{"6": node("CLIPTextEncode", text=["30", 0]), "30": node("OllamaGenerate", text="x")})
    found = read_texts({"parameters": text.replace("unknown\n", "by a model\n", 1), "prompt": json.dumps(graph)})
    assert found.prompt == "by a model"


def test_embeddings_and_loras_in_the_text_are_named():
    graph = base_graph(**{"7": node("CLIPTextEncode", text="(embedding:bad_hands:1.2), fog")})
    found = read_texts({"prompt": json.dumps(graph)})
    assert found.embeddings == ("bad_hands",)


def test_of_several_outputs_the_one_of_that_size_is_chosen_and_the_doubt_is_noted():
    graph = base_graph() | {
        "10": node("LatentUpscale", samples=["3", 0], width=128, height=96),
        "11": node("KSampler", seed=2, steps=5, cfg=7.0, positive=["6", 0], denoise=0.4, latent_image=["10", 0]),
        "12": node("VAEDecode", samples=["11", 0]),
        "13": node("SaveImage", images=["12", 0]),
    }
    base = read_texts({"prompt": json.dumps(graph)}, size=(64, 48))
    enlarged = read_texts({"prompt": json.dumps(graph)}, size=(128, 96))
    assert (base.settings["denoising_strength"], enlarged.settings["denoising_strength"]) == (1.0, 0.4)
    assert "2 images" in base.notes[0]


def test_previews_and_images_that_were_only_passed_on_are_told_apart():
    preview = base_graph(**{"9": node("PreviewImage", images=["8", 0])})
    assert read_texts({"prompt": json.dumps(preview)}).kind == "preview"
    passed = {"1": node("LoadImage", image="a.png"), "2": node("SaveImage", images=["1", 0])}
    assert read_texts({"prompt": json.dumps(passed)}).kind == "input"


def test_an_old_graph_with_nan_is_read():
    graph = json.dumps(base_graph() | {"20": node("Custom", is_changed=float("nan"))})
    assert read_texts({"prompt": graph}).settings["seed"] == 42
