"""Where settings go in workflows with several passes, texts, guiders and outputs, and what is refused."""

import pytest

from stablenew.engines.comfyui.bindings import find_bindings, scaled_handovers
from stablenew.image_metadata.graphs.graph import Place


def node(kind, title=None, **inputs):
    return {"class_type": kind, "inputs": inputs, **({"_meta": {"title": title}} if title else {})}


def sampler(positive, negative, latent, *, model="4", **values):
    settings = {"seed": 1, "steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    links = {"model": [model, 0], "positive": positive, "negative": negative, "latent_image": latent}
    return node("KSampler", **(settings | values), **links)


def half(positive, negative, latent, model, **values):
    settings = {"noise_seed": 1, "steps": 20, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal"}
    links = {"model": [model, 0], "positive": positive, "negative": negative, "latent_image": latent}
    return node("KSamplerAdvanced", **(settings | values), **links)


BASE = {
    "4": node("CheckpointLoaderSimple", ckpt_name="small.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=512, batch_size=1),
    "6": node("CLIPTextEncode", text="a lighthouse", clip=["4", 1]),
    "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
    "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
    "9": node("SaveImage", filename_prefix="x", images=["8", 0]),
}
PLAIN = {**BASE, "3": sampler(["6", 0], ["7", 0], ["5", 0])}

REFINED = {
    **BASE,
    "12": node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors"),
    "15": node("CLIPTextEncode", text="a lighthouse", clip=["12", 1]),
    "16": node("CLIPTextEncode", text="blurry", clip=["12", 1]),
    "10": half(["6", 0], ["7", 0], ["5", 0], "4", start_at_step=0, end_at_step=16),
    "3": half(["15", 0], ["16", 0], ["10", 0], "12", start_at_step=16, end_at_step=10000),
}
"""A base model and a refiner that goes on with the last steps of the same schedule."""

ENLARGED = {
    **PLAIN,
    "20": node("LatentUpscaleBy", samples=["3", 0], upscale_method="bilinear", scale_by=1.5),
    "21": sampler(["6", 0], ["7", 0], ["20", 0], steps=12, denoise=0.5, sampler_name="ddim"),
    "8": node("VAEDecode", samples=["21", 0], vae=["4", 2]),
}
"""A second pass with numbers of its own."""


def places(graph):
    return {name: " ".join(map(str, found)) for name, found in find_bindings(graph).places.items()}


def undecided(graph):
    return {name: " ".join(map(str, found)) for name, found in find_bindings(graph).undecided.items()}


def test_a_refiner_gets_the_prompt_and_the_schedule_of_its_base():
    found = places(REFINED)
    assert (found["prompt"], found["negative_prompt"]) == ("6.text 15.text", "7.text 16.text")
    assert (found["steps"], found["cfg_scale"]) == ("10.steps 3.steps", "10.cfg 3.cfg")
    assert found["seed"] == "10.noise_seed 3.noise_seed"
    assert found["model"] == "4.ckpt_name", "the refiner keeps its model"


@pytest.mark.parametrize(("steps", "handover"), [(30, 24), (10, 8), (2, 1)])
def test_the_passes_of_a_schedule_still_meet_when_it_has_other_steps(steps, handover):
    bindings = find_bindings(REFINED)
    moved = scaled_handovers(REFINED, bindings, steps)
    assert moved == {Place("10", "end_at_step"): handover, Place("3", "start_at_step"): handover}


def test_a_handover_that_both_passes_take_from_one_node_moves_there():
    graph = {
        **REFINED,
        "47": node("PrimitiveInt", value=16),
        "45": node("PrimitiveInt", value=20),
        "10": half(["6", 0], ["7", 0], ["5", 0], "4", steps=["45", 0], start_at_step=0, end_at_step=["47", 0]),
        "3": half(["15", 0], ["16", 0], ["10", 0], "12", steps=["45", 0], start_at_step=["47", 0], end_at_step=10000),
    }
    bindings = find_bindings(graph)
    assert [str(place) for place in bindings.places["steps"]] == ["45.value"]
    assert scaled_handovers(graph, bindings, 40) == {Place("47", "value"): 32}


def test_a_second_pass_keeps_the_numbers_in_which_it_differs():
    found = places(ENLARGED)
    assert (found["steps"], found["sampler"]) == ("3.steps", "3.sampler_name")
    assert (found["cfg_scale"], found["scheduler"]) == ("3.cfg 21.cfg", "3.scheduler 21.scheduler")
    assert (found["seed"], found["denoising_strength"]) == ("3.seed 21.seed", "3.denoise")


def test_passes_side_by_side_are_all_found():
    """Parts of a video, each of which goes on from the one before, joined at the end."""
    graph = {
        **PLAIN,
        "30": sampler(["6", 0], ["7", 0], ["3", 0]),
        "31": node("LatentConcat", samples1=["3", 0], samples2=["30", 0], dim="t"),
        "32": sampler(["6", 0], ["7", 0], ["31", 0]),
        "33": node("LatentConcat", samples1=["31", 0], samples2=["32", 0], dim="t"),
        "8": node("VAEDecode", samples=["33", 0], vae=["4", 2]),
    }
    assert places(graph)["seed"] == "3.seed 30.seed 32.seed"
    assert places(graph)["steps"] == "3.steps 30.steps 32.steps", "each begins from noise, as the first one does"


GUIDED = {
    **BASE,
    "3": node(
        "SamplerCustomAdvanced", noise=["25", 0], guider=["22", 0], sampler=["16", 0], sigmas=["17", 0],
        latent_image=["5", 0],
    ),
    "16": node("KSamplerSelect", sampler_name="euler"),
    "17": node("BasicScheduler", scheduler="simple", steps=20, denoise=1.0, model=["4", 0]),
    "25": node("RandomNoise", noise_seed=5),
    "22": node(
        "DualCFGGuider", model=["4", 0], cond1=["6", 0], cond2=["7", 0], negative=["7", 0], cfg_conds=5.0,
        cfg_cond2_negative=2.0, style="regular",
    ),
}  # fmt: skip


def test_a_guider_with_two_conditionings_is_followed():
    found = places(GUIDED)
    assert (found["prompt"], found["negative_prompt"]) == ("6.text", "7.text")
    assert found["cfg_scale"] == "22.cfg_conds"


def test_a_prompt_that_is_also_the_last_conditioning_of_a_guider_is_no_negative_prompt():
    """An edit model: the second conditioning is the negative one, and the third the instruction again."""
    graph = {
        **GUIDED,
        "52": node(
            "InstructPixToPixConditioning", positive=["6", 0], negative=["7", 0], vae=["4", 2], pixels=["13", 0]
        ),
        "13": node("LoadImage", image="boat.png"),
    }
    graph["22"] = node(
        "DualCFGGuider", model=["4", 0], cond1=["52", 0], cond2=["52", 1], negative=["6", 0], cfg_conds=3.0,
        cfg_cond2_negative=1.5,
    )  # fmt: skip
    found = places(graph)
    assert (found["prompt"], found["negative_prompt"], found["image"]) == ("6.text", "7.text", "13.image")


def test_the_sampler_of_a_preprocessor_is_not_that_of_the_image():
    graph = {
        **PLAIN,
        "3": sampler(["40", 0], ["40", 1], ["5", 0]),
        "40": node(
            "ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["41", 0], image=["42", 0]
        ),
        "41": node("ControlNetLoader", control_net_name="depth.safetensors"),
        "42": node("VAEDecode", samples=["43", 0], vae=["44", 2]),
        "43": sampler(["45", 0], ["45", 0], ["46", 0], model="44", steps=1),
        "44": node("CheckpointLoaderSimple", ckpt_name="depth-estimator.safetensors"),
        "45": node("CLIPTextEncode", text="", clip=["44", 1]),
        "46": node("VAEEncode", pixels=["47", 0], vae=["44", 2]),
        "47": node("LoadImage", image="pose.png"),
    }
    found = places(graph)
    assert (found["prompt"], found["model"], found["steps"]) == ("6.text", "4.ckpt_name", "3.steps")


def test_the_label_of_a_box_is_not_the_prompt():
    graph = {
        **PLAIN,
        "3": sampler(["50", 0], ["7", 0], ["5", 0]),
        "50": node(
            "GLIGENTextBoxApply", conditioning_to=["6", 0], clip=["4", 1], text="sun", width=64, height=64, x=0, y=0
        ),
    }
    assert places(graph)["prompt"] == "6.text"


def test_a_video_end_is_an_end_beside_a_preview_of_its_control_images():
    graph = {
        **PLAIN,
        "9": node("SaveVideo", filename_prefix="video/x", format="auto", codec="auto", video=["60", 0]),
        "60": node("CreateVideo", images=["8", 0], fps=16),
        "61": node("LoadImage", image="control.png"),
        "62": node("Canny", image=["61", 0], low_threshold=0.1, high_threshold=0.3),
        "63": node("PreviewImage", images=["62", 0]),
    }
    assert (places(graph)["prompt"], places(graph)["steps"]) == ("6.text", "3.steps")


AREAS = {
    **PLAIN,
    "3": sampler(["70", 0], ["7", 0], ["5", 0]),
    "70": node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["72", 0]),
    "71": node("CLIPTextEncode", text="a stormy sky", clip=["4", 1]),
    "72": node("ConditioningSetArea", conditioning=["71", 0], width=512, height=128, x=0, y=0, strength=1.0),
}
JOINED = {
    **PLAIN,
    "6": node("CLIPTextEncode", text=["80", 0], clip=["4", 1]),
    "80": node("StringConcatenate", string_a="masterpiece", string_b=["81", 0], delimiter=", "),
    "81": node("PrimitiveString", value="a lighthouse"),
}


@pytest.mark.parametrize(
    ("graph", "candidates", "titled"),
    [(AREAS, "6.text 71.text", "71"), (JOINED, "80.string_a 81.value", "81")],
)
def test_of_several_texts_a_title_decides_or_nothing_does(graph, candidates, titled):
    assert "prompt" not in places(graph)
    assert undecided(graph) == {"prompt": candidates}
    for title in ("Positive", "the prompt", "Prompt (subject)"):
        chosen = {**graph, titled: {**graph[titled], "_meta": {"title": title}}}
        assert places(chosen)["prompt"] in {"71.text", "81.value"}
        assert not undecided(chosen)
    both = {key: {**value, "_meta": {"title": "CLIP Text Encode (Prompt)"}} for key, value in graph.items()}
    assert undecided(both) == {"prompt": candidates}, "the page's own titles decide nothing"


def test_a_text_that_a_node_only_trims_has_its_place():
    graph = {**JOINED, "80": node("StringTrim", string=["81", 0], mode="Both")}
    assert places(graph)["prompt"] == "81.value"


def test_a_text_that_a_node_finds_in_another_has_no_place():
    graph = {**JOINED, "80": node("RegexExtract", string="a lighthouse", regex_pattern="light.*", mode="First Match")}
    assert "prompt" not in places(graph)
    assert "prompt" not in undecided(graph)


def test_branches_that_differ_are_undecided_where_they_differ():
    graph = {
        **PLAIN,
        "93": sampler(["96", 0], ["7", 0], ["5", 0], steps=30, model="94"),
        "94": node("CheckpointLoaderSimple", ckpt_name="other.safetensors"),
        "96": node("CLIPTextEncode", text="another picture", clip=["94", 1]),
        "98": node("VAEDecode", samples=["93", 0], vae=["94", 2]),
        "99": node("SaveImage", filename_prefix="y", images=["98", 0]),
    }
    assert undecided(graph) == {
        "prompt": "6.text 96.text",
        "steps": "3.steps 93.steps",
        "model": "4.ckpt_name 94.ckpt_name",
    }
    found = places(graph)
    assert (found["cfg_scale"], found["negative_prompt"], found["seed"]) == ("3.cfg 93.cfg", "7.text", "3.seed 93.seed")


def test_a_graph_that_only_shows_is_bound_too():
    graph = {**PLAIN, "9": node("PreviewImage", images=["8", 0])}
    assert places(graph)["prompt"] == "6.text"


def test_width_and_height_from_one_number_share_it_and_otherwise_do_not():
    square = {**PLAIN, "5": node("EmptyLatentImage", width=["90", 0], height=["90", 0], batch_size=1)}
    square["90"] = node("PrimitiveInt", value=512)
    assert (places(square)["width"], places(square)["height"]) == ("90.value", "90.value")


def test_a_node_that_begins_a_video_with_an_image_has_the_size_and_one_that_scales_has_not():
    video = {"image": ["10", 0], "vae": ["4", 2], "positive": ["6", 0], "negative": ["7", 0]}
    graph = {
        "3": sampler(["6", 0], ["7", 0], ["77", 2]),
        "4": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "6": node("CLIPTextEncode", text="a quiet harbour"),
        "7": node("CLIPTextEncode", text="fog"),
        "8": node("VAEDecode", samples=["3", 0]),
        "9": node("SaveImage", images=["8", 0], filename_prefix="x"),
        "10": node("LoadImage", image="first.png"),
        "77": node("LTXVImgToVideo", width=768, height=512, length=97, **video),
    }
    found = places(graph)
    assert (found["width"], found["height"]) == ("77.width", "77.height")
    graph["77"] = node("VAEEncode", pixels=["11", 0], vae=["4", 2])
    graph["11"] = node("ImageScale", image=["10", 0], width=768, height=512)
    graph["3"]["inputs"]["latent_image"] = ["77", 0]
    assert "width" not in places(graph)
