"""From a stage's request to a workflow, with a server that only says what it has."""

import json

import pytest

from stablenew.engines.comfyui.prompt import PromptBuilder
from stablenew.engines.comfyui.workflows import build_workflow
from stablenew.engines.engine import EngineImage, StageRequest
from stablenew.errors import ConfigError, EngineError
from tests.engines.comfyui.test_graph import CLASSIC, node

HAS = {
    ("CheckpointLoaderSimple", "ckpt_name"): ["dreamshaper_8.safetensors", "xl/sd_xl_base_1.0.safetensors"],
    ("KSampler", "sampler_name"): ["euler", "dpmpp_2m"],
    ("KSampler", "scheduler"): ["normal", "karras"],
    ("UpscaleModelLoader", "model_name"): ["RealESRGAN_x4plus.pth", "4x_foolhardy.pth"],
    ("LoraLoader", "lora_name"): ["ink.safetensors", "styles/film.safetensors"],
    ("VAELoader", "vae_name"): ["kl-f8.safetensors"],
    ("UltralyticsDetectorProvider", "model_name"): ["bbox/face_yolov8n.pt", "bbox/hand_yolov8s.pt"],
    ("FaceDetailer", "sampler_name"): ["euler"],
}
IMAGE = EngineImage(b"", "image/png", 320, 200, seed=77)


def build(stage="txt2img", *, prompt="a pier", negative="", main=None, has=HAS, number=0, seed=5, **settings):
    """The prompt for one image; `main` are settings of txt2img that later stages go on with."""
    inputs = () if stage == "txt2img" else (IMAGE,)
    request = StageRequest(stage, settings, prompt, negative, inputs)
    builder = PromptBuilder(
        request, main or {}, lambda kind, name: has.get((kind, name), []), lambda _: "in.png [temp]"
    )
    return builder.build(number, seed)


def inputs(prompt, key):
    return prompt.graph[key]["inputs"]


def own(graph=CLASSIC, **extra):
    return {"extra": {"workflow": graph, **extra}}


def test_settings_stand_where_the_nodes_of_the_built_in_workflow_take_them():
    found = build(
        negative="fog", steps=7, cfg_scale=4.5, width=640, height=448, sampler="DPM++ 2M", scheduler="Karras",
        clip_skip=2, model="dreamshaper_8",
    )  # fmt: skip
    sampler = inputs(found, "sampler")
    assert (sampler["seed"], sampler["steps"], sampler["cfg"], sampler["sampler_name"], sampler["scheduler"]) == (
        5, 7, 4.5, "dpmpp_2m", "karras",
    )  # fmt: skip
    assert inputs(found, "latent") == {"width": 640, "height": 448, "batch_size": 1}
    assert [inputs(found, key)["text"] for key in ("positive", "negative")] == ["a pier", "fog"]
    assert inputs(found, "clip")["stop_at_clip_layer"] == -2
    assert inputs(found, "checkpoint")["ckpt_name"] == "dreamshaper_8.safetensors"
    assert (found.seed, found.parent, found.notices) == (5, None, ())


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("dreamshaper_8.safetensors", "dreamshaper_8.safetensors"), ("DREAMSHAPER_8", "dreamshaper_8.safetensors"),
        ("sd_xl_base_1.0", "xl/sd_xl_base_1.0.safetensors"),
        ("xl/sd_xl_base_1.0.safetensors", "xl/sd_xl_base_1.0.safetensors"),
        ("sd_xl_base_1.0 [31e35c80fc]", "xl/sd_xl_base_1.0.safetensors"),
    ],
)  # fmt: skip
def test_a_checkpoint_is_found_without_folder_ending_hash_or_case(model, file):
    assert inputs(build(model=model), "checkpoint")["ckpt_name"] == file


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "nowhere"}, "checkpoint 'nowhere'; it has dreamshaper_8.safetensors, xl/sd_xl"),
        ({"vae": "nowhere"}, "VAE 'nowhere'; it has kl-f8.safetensors"),
        ({"sampler": "heunpp2"}, "sampler 'heunpp2'; it has euler, dpmpp_2m"),
        ({"prompt": "<lora:nowhere:1> a pier"}, "LoRA 'nowhere'; it has ink.safetensors, styles/film"),
    ],
)
def test_what_the_server_has_not_is_named_with_what_it_has(settings, said):
    with pytest.raises(EngineError, match=f"^the server knows no {said}"):
        build(**settings)


def test_of_very_many_files_some_are_named():
    many = {("CheckpointLoaderSimple", "ckpt_name"): [f"m{number}.safetensors" for number in range(50)]}
    with pytest.raises(EngineError, match=r"m39.safetensors and 10 more$"):
        build(model="nowhere", has=many)


def test_without_a_model_the_first_one_is_used_and_that_is_said():
    found = build()
    assert inputs(found, "checkpoint")["ckpt_name"] == "dreamshaper_8.safetensors"
    assert found.notices == ("no model was asked for: ComfyUI's first one was used, dreamshaper_8.safetensors",)
    with pytest.raises(EngineError, match="the server has no checkpoint: put one into models/checkpoints"):
        build(has={})


def test_a_server_that_lists_nothing_is_given_what_was_asked_for():
    assert inputs(build(model="mine.safetensors", has={}), "checkpoint")["ckpt_name"] == "mine.safetensors"


def test_loras_and_embeddings_of_a_prompt_become_nodes_and_words():
    found = build(prompt="<lora:film:0.5> a pier <embedding:bad_hands>", model="dreamshaper_8")
    assert inputs(found, "positive")["text"].split() == ["a", "pier", "embedding:bad_hands"]
    lora = inputs(found, "stablenew-lora-0")
    assert (lora["lora_name"], lora["strength_model"]) == ("styles/film.safetensors", 0.5)
    assert found.about["loras"] == [{"name": "film", "weight": 0.5}]
    assert found.actual("save")["loras"] == [{"name": "film", "weight": 0.5}]


@pytest.mark.parametrize(("vae", "is_swapped"), [("kl-f8", True), ("Automatic", False), ("", False), (None, False)])
def test_a_vae_is_loaded_where_one_is_asked_for(vae, is_swapped):
    found = build(model="dreamshaper_8", vae=vae)
    assert inputs(found, "decode")["vae"] == (["vae", 0] if is_swapped else ["checkpoint", 2])


def test_a_later_stage_goes_on_with_the_settings_of_the_first_and_its_own_win():
    found = build(
        "img2img", main={"model": "sd_xl_base_1.0", "steps": 30}, steps=9, denoising_strength=0.35, cfg_scale=None
    )
    sampler = inputs(found, "sampler")
    assert (sampler["steps"], sampler["denoise"], inputs(found, "image")["image"]) == (9, 0.35, "in.png [temp]")
    assert inputs(found, "checkpoint")["ckpt_name"] == "xl/sd_xl_base_1.0.safetensors"
    assert (found.seed, found.parent) == (5, 0)


def test_a_detector_is_no_checkpoint():
    found = build("adetailer", main={"model": "dreamshaper_8"}, model="hand_yolov8s.pt", denoise=0.3, confidence=0.5)
    assert inputs(found, "detector")["model_name"] == "bbox/hand_yolov8s.pt"
    assert inputs(found, "checkpoint")["ckpt_name"] == "dreamshaper_8.safetensors"
    assert (inputs(found, "detailer")["denoise"], inputs(found, "detailer")["bbox_threshold"]) == (0.3, 0.5)


@pytest.mark.parametrize(
    ("upscaler", "file"),
    [("R-ESRGAN 4x+", "RealESRGAN_x4plus.pth"), ("4x_foolhardy", "4x_foolhardy.pth"), ("Lanczos", None), (None, None)],
)
def test_upscalers_have_the_names_of_the_webuis(upscaler, file):
    found = build("upscale", upscaler=upscaler, factor=2)
    assert (inputs(found, "upscaler")["model_name"] if "upscaler" in found.graph else None) == file
    assert (inputs(found, "enlarged")["width"], found.seed) == (640, 77)


def test_an_upscaler_that_is_not_there_names_the_one_that_needs_no_model():
    with pytest.raises(EngineError, match="it has none; Lanczos needs no model"):
        build("upscale", upscaler="4x", has={})


@pytest.mark.parametrize("form", [lambda graph: graph, json.dumps, lambda graph: {"prompt": graph}])
def test_a_workflow_of_ones_own_is_filled_in_and_keeps_the_rest(form):
    found = build(**own(form(CLASSIC)), has={})
    assert inputs(found, "6")["text"] == "a pier"
    assert inputs(found, "7")["text"] == "watermark", "its negative prompt is its own"
    assert (inputs(found, "3")["seed"], inputs(found, "3")["steps"]) == (5, 20)
    assert found.about["negative_prompt"] == "watermark"
    assert found.about["workflow_digest"].startswith("xxh128:")
    assert found.actual("9")["steps"] == 20


def test_a_workflow_may_be_a_file_and_one_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "portrait.json"
    path.write_text(json.dumps(CLASSIC))
    assert inputs(build(**own(str(path)), has={}), "6")["text"] == "a pier"
    with pytest.raises(EngineError, match=r"nowhere.json cannot be read: No such file"):
        build(**own(str(tmp_path / "nowhere.json")))


def test_the_user_says_where_a_setting_goes_and_what_stays():
    found = build(**own(**{"bind.prompt": "7.text 6.text", "bind.seed": None, "3.cfg": 1.5}), cfg_scale=9.0, has={})
    assert (inputs(found, "6")["text"], inputs(found, "7")["text"]) == ("a pier", "a pier")
    assert (inputs(found, "3")["seed"], inputs(found, "3")["cfg"]) == (CLASSIC["3"]["inputs"]["seed"], 1.5)
    assert found.seed == CLASSIC["3"]["inputs"]["seed"]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"bind.prompt": "66.text"}, "the workflow has no node '66'"),
        ({"3.tempo": 5}, r"node 3 \(KSampler\) has no input 'tempo'; it has seed, steps"),
    ],
)
def test_a_place_that_is_not_there_is_named(extra, said):
    with pytest.raises(ConfigError, match=said):
        build(**own(**extra), has={})


def test_a_setting_for_which_there_is_no_place_is_told():
    graph = {key: value for key, value in CLASSIC.items() if key != "5"}
    graph["3"] = node("KSampler", **{**CLASSIC["3"]["inputs"], "latent_image": ["20", 0]})
    graph["20"] = node("LatentFromElsewhere")
    assert build(**own(graph), width=640, has={}).notices == ("the workflow has no place for width",)


def test_a_workflow_without_a_place_for_the_prompt_says_how_to_name_one():
    graph = {**build_workflow("txt2img", {}), "positive": node("FromElsewhere")}
    with pytest.raises(EngineError, match=r"no place for the prompt .* txt2img.extra.bind.prompt=NODE.INPUT"):
        build(**own(graph), has={})
    assert build(**own(graph, **{"bind.prompt": None}), has={}).is_prompt_given is False


@pytest.mark.parametrize(
    ("kind", "values", "left_out"),
    [("SaveLatent", {"samples": ["3", 0]}, ["8"]), ("SaveImageWebsocket", {"images": ["8", 0]}, [])],
)
def test_a_workflow_that_saves_no_image_is_refused(kind, values, left_out):
    graph = {key: found for key, found in {**CLASSIC, "9": node(kind, **values)}.items() if key not in left_out}
    with pytest.raises(EngineError, match=f"the workflow ends in {kind}, which saves no image; add a SaveImage"):
        build(**own(graph), has={})
