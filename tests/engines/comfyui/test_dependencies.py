"""Which files a workflow names, and where they lie."""

import pytest

from stablenew.engines.comfyui.dependencies import dependencies_inside, find_file_inputs, find_files
from stablenew.engines.comfyui.workflows import build_workflow
from tests.engines.comfyui.test_graph import CLASSIC, FLUX, node


def test_every_input_of_a_loader_names_a_file():
    assert find_file_inputs(CLASSIC) == [
        ("ckpt_name", "v1-5-pruned-emaonly.safetensors"), ("lora_name", "x.safetensors"),
        ("control_net_name", "canny.safetensors"), ("vae_name", "vae-ft-mse.safetensors"),
    ]  # fmt: skip
    assert [name for name, _ in find_file_inputs(FLUX)] == ["vae_name", "clip_name1", "clip_name2", "unet_name"]


def test_an_input_that_comes_from_another_node_names_none():
    assert find_file_inputs({"4": node("CheckpointLoaderSimple", ckpt_name=["5", 0])}) == []


@pytest.mark.parametrize(
    ("name", "kind", "folder"),
    [
        ("ckpt_name", "checkpoint", "checkpoints"), ("unet_name", "checkpoint", "diffusion_models"),
        ("unet_name", "checkpoint", "unet"), ("vae_name", "vae", "vae"), ("lora_name", "lora", "loras"),
        ("clip_name2", "text_encoder", "clip"), ("control_net_name", "controlnet", "controlnet"),
        ("model_name", "model", "upscale_models"), ("model_name", "model", "ultralytics_bbox"),
    ],
)  # fmt: skip
def test_a_file_is_found_in_the_folders_of_its_kind(tmp_path, name, kind, folder):
    path = tmp_path / "sub" / "a.safetensors"
    path.parent.mkdir()
    path.touch()
    folders = {folder: [str(tmp_path / "nowhere"), str(tmp_path)]}
    for written in ("sub/a.safetensors", "sub\\a.safetensors"):
        (found,) = find_files([(name, written)], folders)
        assert (found.name, found.kind, found.path) == (written, kind, path)
    (elsewhere,) = find_files([(name, "sub/a.safetensors")], {"other": [str(tmp_path)]})
    assert (elsewhere.kind, elsewhere.path) == (kind, None)


def test_what_a_recorder_inside_reports_is_what_images_depend_on(tmp_path):
    (tmp_path / "dreamshaper_8.safetensors").touch()
    (tmp_path / "nodes" / "impact").mkdir(parents=True)
    graph = build_workflow("txt2img", {})
    graph["checkpoint"]["inputs"]["ckpt_name"] = "dreamshaper_8.safetensors"
    said = {
        "folders": {"checkpoints": [str(tmp_path)], "custom_nodes": [str(tmp_path / "nodes")]}, "torch": "2.8.0",
        "python": None, "device": "cuda:0", "arguments": ["main.py", "--lowvram", "--port", "8188"],
    }  # fmt: skip
    found = dependencies_inside(graph, "0.3.64", said)
    assert [(file.name, file.path) for file in found.files] == [
        ("dreamshaper_8.safetensors", tmp_path / "dreamshaper_8.safetensors")
    ]
    assert (found.versions, found.device, found.flags) == (
        {"comfyui": "0.3.64", "torch": "2.8.0"}, "cuda:0", ("--lowvram",),
    )  # fmt: skip
    assert [custom.name for custom in found.custom_nodes] == ["impact"]


def test_a_recorder_that_reports_nothing_leaves_only_names():
    found = dependencies_inside(CLASSIC, "", {})
    assert (len(found.files), found.versions, found.device, found.flags) == (4, {}, None, ())
    assert all(file.path is None for file in found.files)
