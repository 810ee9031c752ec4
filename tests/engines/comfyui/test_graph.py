"""Where the settings stand in a workflow, found by walking back from its images."""

import pytest

from stablenew.engines.comfyui.bindings import find_bindings
from stablenew.engines.comfyui.graph import (
    check_graph,
    parse_place,
    read_graph,
    read_values,
    with_loras,
    with_values,
)
from stablenew.engines.comfyui.workflows import build_workflow
from stablenew.errors import ConfigError


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


CLASSIC = {
    "3": node(
        "KSampler", seed=156680208700286, steps=20, cfg=8.0, sampler_name="euler", scheduler="normal", denoise=1.0,
        model=["10", 0], positive=["12", 0], negative=["12", 1], latent_image=["5", 0],
    ),
    "4": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned-emaonly.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=768, batch_size=4),
    "6": node("CLIPTextEncode", text="a bottle", clip=["10", 1]),
    "7": node("CLIPTextEncode", text="watermark", clip=["10", 1]),
    "8": node("VAEDecode", samples=["3", 0], vae=["14", 0]),
    "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    "10": node(
        "LoraLoader", lora_name="x.safetensors", strength_model=0.7, strength_clip=1.0, model=["4", 0], clip=["4", 1]
    ),
    "11": node("ControlNetLoader", control_net_name="canny.safetensors"),
    "12": node(
        "ControlNetApplyAdvanced", strength=1.0, positive=["6", 0], negative=["7", 0], control_net=["11", 0],
        image=["13", 0],
    ),
    "13": node("LoadImage", image="pose.png"),
    "14": node("VAELoader", vae_name="vae-ft-mse.safetensors"),
    "15": node("Note", text="not connected"),
}  # fmt: skip
"""A LoRA and a ControlNet between the sampler and what it is bound to."""

FLUX = {
    "5": node("EmptySD3LatentImage", width=["40", 0], height=1024, batch_size=1),
    "6": node("CLIPTextEncode", text=["41", 0], clip=["11", 0]),
    "8": node("VAEDecode", samples=["13", 0], vae=["10", 0]),
    "9": node("SaveImage", filename_prefix="x", images=["8", 0]),
    "10": node("VAELoader", vae_name="ae.safetensors"),
    "11": node("DualCLIPLoader", clip_name1="t5xxl.safetensors", clip_name2="clip_l.safetensors", type="flux"),
    "12": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
    "13": node(
        "SamplerCustomAdvanced", noise=["25", 0], guider=["22", 0], sampler=["16", 0], sigmas=["18", 0],
        latent_image=["5", 0],
    ),
    "16": node("KSamplerSelect", sampler_name="euler"),
    "17": node("BasicScheduler", scheduler="simple", steps=20, denoise=1.0, model=["12", 0]),
    "18": node("SplitSigmas", step=10, sigmas=["17", 0]),
    "22": node("BasicGuider", model=["12", 0], conditioning=["26", 0]),
    "25": node("RandomNoise", noise_seed=2**63 + 5),
    "26": node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
    "40": node("PrimitiveInt", value=832),
    "41": node("PrimitiveString", value="a glass of wine"),
}  # fmt: skip
"""The sampler's settings in nodes of their own, text and width in primitives, no negative prompt."""


def places(graph):
    return {name: " ".join(map(str, found)) for name, found in find_bindings(graph).places.items()}


def test_a_classic_workflow_is_understood_through_lora_and_controlnet():
    assert places(CLASSIC) == {
        "seed": "3.seed", "steps": "3.steps", "cfg_scale": "3.cfg", "sampler": "3.sampler_name",
        "scheduler": "3.scheduler", "denoising_strength": "3.denoise", "prompt": "6.text", "negative_prompt": "7.text",
        "width": "5.width", "height": "5.height", "batch_size": "5.batch_size", "model": "4.ckpt_name",
        "vae": "14.vae_name", "image": "13.image",
    }  # fmt: skip


def test_settings_in_nodes_of_their_own_are_found():
    assert places(FLUX) == {
        "seed": "25.noise_seed", "steps": "17.steps", "sampler": "16.sampler_name", "scheduler": "17.scheduler",
        "denoising_strength": "17.denoise", "prompt": "41.value", "width": "40.value", "height": "5.height",
        "batch_size": "5.batch_size", "model": "12.unet_name", "vae": "10.vae_name",
    }  # fmt: skip


def test_a_negative_made_from_the_prompt_is_no_negative_prompt():
    """As in ComfyUI's own templates for models that know none: writing there would wipe the prompt out."""
    graph = {**CLASSIC, "7": node("ConditioningZeroOut", conditioning=["6", 0])}
    assert places(graph)["prompt"] == "6.text"
    assert "negative_prompt" not in places(graph)


def test_of_two_passes_the_first_is_bound_and_both_get_the_seed():
    graph = build_workflow("txt2img", {"enable_hr": True, "steps": 30})
    found = places(graph)
    assert found["seed"] == "sampler.seed hires.seed"
    assert found["steps"] == "sampler.steps"
    assert graph["hires"]["inputs"]["steps"] == 30
    assert found["width"] == "latent.width"


def test_a_workflow_that_goes_in_circles_is_walked_once():
    graph = {
        **FLUX,
        "18": node("SplitSigmas", sigmas=["18", 0]),
        "6": node("CLIPTextEncode", text=["6", 0], conditioning=["26", 0]),
        "5": node("EmptyLatentImage", latent=["13", 0]),
    }
    assert places(graph)["sampler"] == "16.sampler_name"


def test_both_texts_of_sdxl_are_the_prompt():
    graph = {
        **CLASSIC,
        "6": node("CLIPTextEncodeSDXL", text_g="a bottle", text_l="a bottle", width=1024, clip=["10", 1]),
    }
    assert places(graph)["prompt"] == "6.text_g 6.text_l"


@pytest.mark.parametrize("stage", ["txt2img", "img2img", "adetailer", "upscale"])
def test_the_built_in_workflows_are_understood_the_same_way(stage):
    found = places(build_workflow(stage, {"upscaler": "4x"}, (64, 48)))
    assert ("image" in found) == (stage != "txt2img")
    if stage != "upscale":
        assert {"prompt", "negative_prompt", "seed", "steps", "cfg_scale", "model", "clip_skip"} <= found.keys()
    if stage == "adetailer":
        assert (found["detector"], found["confidence"]) == ("detector.model_name", "detailer.bbox_threshold")


def test_values_go_to_all_their_places_and_the_template_stays_as_it_is():
    bindings = find_bindings(CLASSIC).places
    filled = with_values(CLASSIC, bindings, {"prompt": "a pier", "seed": 2**64 - 1, "no such": 1})
    assert read_values(filled, bindings)["seed"] == 2**64 - 1
    assert filled["6"]["inputs"]["text"] == "a pier"
    assert CLASSIC["6"]["inputs"]["text"] == "a bottle"


def test_loras_stand_between_the_checkpoint_and_everybody_who_used_it():
    graph = with_loras(build_workflow("txt2img", {}), [("a.safetensors", 0.5), ("b.safetensors", 1.0)], "checkpoint")
    first, second = graph["stablenew-lora-0"], graph["stablenew-lora-1"]
    assert first["inputs"]["model"] == ["checkpoint", 0]
    assert second["inputs"]["clip"] == ["stablenew-lora-0", 1]
    assert graph["sampler"]["inputs"]["model"] == ["stablenew-lora-1", 0]
    assert graph["clip"]["inputs"]["clip"] == ["stablenew-lora-1", 1]
    assert graph["decode"]["inputs"]["vae"] == ["checkpoint", 2]
    with pytest.raises(ConfigError, match="no model loader"):
        with_loras(FLUX, [("a", 1.0)], None)


def test_a_model_without_its_text_encoder_takes_loras_too():
    graph = with_loras(FLUX, [("a.safetensors", 0.5)], "12")
    assert graph["stablenew-lora-0"] == {
        "class_type": "LoraLoaderModelOnly",
        "inputs": {"lora_name": "a.safetensors", "strength_model": 0.5, "model": ["12", 0]},
    }
    assert graph["22"]["inputs"]["model"] == ["stablenew-lora-0", 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "portrait.json is not valid JSON"),
        ("[" * 100_000, "portrait.json is not valid JSON: nested too deep"),
        ('{"nodes": [], "links": [], "version": 0.4}', r"as the page saves it; export it in API format"),
        ("[]", "is not a workflow of ComfyUI"),
        ("{}", "is not a workflow of ComfyUI"),
        ('{"3": {"inputs": {}}}', "is not a workflow of ComfyUI"),
    ],
)
def test_what_is_no_workflow_says_so(text, message):
    with pytest.raises(ConfigError, match=message):
        read_graph(text, "portrait.json")


def test_the_body_of_a_call_is_taken_for_its_workflow():
    assert check_graph({"prompt": CLASSIC, "client_id": "x"}) == CLASSIC


def test_a_place_that_is_not_there_names_those_that_are():
    assert parse_place(CLASSIC, "6.text") == ("6", "text")
    with pytest.raises(ConfigError, match=r"no node '66'; it has 3 \(KSampler\), 4"):
        parse_place(CLASSIC, "66.text")
    with pytest.raises(ConfigError, match=r"node 5 \(EmptyLatentImage\) has no input 'size'; it has width, height"):
        parse_place(CLASSIC, "5.size")
