"""The built-in workflows: which nodes, how they are linked, and what only one of your own can do."""

import pytest

from stablenew.engines.comfyui.graph import is_link
from stablenew.engines.comfyui.workflows import build_workflow, needs_nodes, with_vae
from stablenew.errors import EngineError

STAGES = ("txt2img", "img2img", "adetailer", "upscale")
BUILT = {
    "txt2img": build_workflow("txt2img", {}),
    "txt2img hires": build_workflow("txt2img", {"enable_hr": True}),
    "img2img": build_workflow("img2img", {}),
    "adetailer": build_workflow("adetailer", {}),
    "upscale": build_workflow("upscale", {}, (8, 6)),
    "upscale by a model": build_workflow("upscale", {"upscaler": "4x"}, (8, 6)),
    "upscale by img2img": build_workflow("upscale", {"mode": "img2img"}, (8, 6)),
}


def inputs(graph, key):
    return graph[key]["inputs"]


@pytest.mark.parametrize("name", BUILT)
def test_every_link_goes_to_a_node_and_one_node_ends_it(name):
    graph = BUILT[name]
    links = [value for node in graph.values() for value in node["inputs"].values() if is_link(value)]
    assert {key for key, _ in links} <= graph.keys()
    assert graph.keys() - {key for key, _ in links} == {"save"}
    assert graph["save"]["class_type"] == "PreviewImage"


@pytest.mark.parametrize("stage", STAGES)
def test_only_faces_need_nodes_that_not_every_comfyui_has(stage):
    own = needs_nodes(stage) & {"FaceDetailer", "UltralyticsDetectorProvider"}
    assert bool(own) == (stage == "adetailer")


def test_workflows_share_nothing_that_one_of_them_could_change():
    build_workflow("txt2img", {})["sampler"]["inputs"]["steps"] = 99
    assert inputs(build_workflow("txt2img", {}), "sampler")["steps"] == 20


def test_a_second_pass_has_the_settings_that_were_asked_for_or_else_those_of_the_first():
    graph = build_workflow(
        "txt2img",
        {"enable_hr": True, "steps": 30, "cfg_scale": 5.0, "sampler": "dpmpp_2m", "scheduler": "karras"}
        | {"hr_scale": 1.5, "hr_denoising_strength": 0.4, "hr_upscaler": "Latent (nearest-exact)"},
    )
    second = inputs(graph, "hires")
    assert (second["steps"], second["cfg"], second["sampler_name"], second["scheduler"], second["denoise"]) == (
        30, 5.0, "dpmpp_2m", "karras", 0.4,
    )  # fmt: skip
    assert inputs(graph, "enlarged")["scale_by"] == 1.5
    assert second["latent_image"] == ["enlarged", 0]
    assert inputs(graph, "decode")["samples"] == ["hires", 0]
    own = build_workflow("txt2img", {"enable_hr": True, "steps": 30, "hr_steps": 8})
    assert inputs(own, "hires")["steps"] == 8


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"refiner_checkpoint": "r"}, "the built-in workflow has no refiner; give one of your own"),
        ({"enable_hr": True, "hr_upscaler": "R-ESRGAN 4x+"}, "by Latent only, not by 'R-ESRGAN 4x"),
    ],
)
def test_what_only_a_workflow_of_ones_own_can_do_is_refused_with_the_way_out(settings, said):
    with pytest.raises(EngineError, match=said) as refused:
        build_workflow("txt2img", settings)
    assert "txt2img.extra.workflow=FILE" in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({}, "lanczos"), ({"upscaler": None}, "lanczos"), ({"upscaler": "None"}, "nearest-exact"),
        ({"upscaler": "Nearest"}, "nearest-exact"), ({"upscaler": "BICUBIC"}, "bicubic"),
        ({"upscaler": "Area"}, "area"),
    ],
)  # fmt: skip
def test_upscalers_that_only_resample_need_no_model(settings, method):
    graph = build_workflow("upscale", settings, (100, 50))
    assert inputs(graph, "enlarged")["upscale_method"] == method
    assert graph.keys() == {"image", "enlarged", "save"}


@pytest.mark.parametrize(
    ("size", "factor", "expected"),
    [((100, 50), 2.0, (200, 100)), ((33, 17), 1.5, (50, 26)), ((3, 1), 0.1, (1, 1)), ((100, 50), "3", (300, 150))],
)
def test_an_image_is_enlarged_by_its_factor_whatever_model_does_it(size, factor, expected):
    for upscaler in ("Lanczos", "4x_foolhardy"):
        enlarged = inputs(build_workflow("upscale", {"factor": factor, "upscaler": upscaler}, size), "enlarged")
        assert (enlarged["width"], enlarged["height"]) == expected


def test_an_upscaling_model_comes_before_the_size_and_img2img_after_it():
    graph = build_workflow("upscale", {"upscaler": "4x", "mode": "img2img"}, (8, 6))
    assert inputs(graph, "by_model") == {"upscale_model": ["upscaler", 0], "image": ["image", 0]}
    assert inputs(graph, "enlarged")["image"] == ["by_model", 0]
    assert inputs(graph, "latent")["pixels"] == ["enlarged", 0]
    assert inputs(graph, "sampler")["denoise"] == 0.35


@pytest.mark.parametrize("name", ["txt2img hires", "img2img", "adetailer", "upscale by img2img"])
def test_a_vae_of_its_own_takes_the_place_of_the_checkpoints_everywhere(name):
    graph, before = with_vae(BUILT[name]), BUILT[name]
    assert graph["vae"]["class_type"] == "VAELoader"
    links = [value for node in graph.values() for value in node["inputs"].values()]
    assert ["checkpoint", 2] not in links
    assert links.count(["vae", 0]) == sum(
        value == ["checkpoint", 2] for node in before.values() for value in node["inputs"].values()
    )
    assert "vae" not in before
