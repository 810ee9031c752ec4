"""What images of a WebUI depend on, as a recorder inside it reports."""

import pytest

from stablenew.engines.webui.dependencies import choose_options, dependencies_inside

SHA256 = "AB" * 32


def test_options_that_change_images_are_kept_with_their_values():
    options = {
        "cross_attention_optimization": "sdp", "eta_noise_seed_delta": 31337, "upcast_attn": False, "sd_unet": None,
        "samples_save": True, "outdir_samples": "/home/somebody", "token_merging_ratio": 0.5, "emphasis": ["x"],
    }  # fmt: skip
    assert choose_options(options) == [
        "cross_attention_optimization=sdp", "eta_noise_seed_delta=31337", "upcast_attn=False",
        "token_merging_ratio=0.5",
    ]  # fmt: skip
    assert choose_options({}) == []


def test_a_report_is_what_images_depend_on(tmp_path):
    checkpoint = tmp_path / "dreamshaper_8.safetensors"
    checkpoint.touch()
    (tmp_path / "extensions" / "adetailer").mkdir(parents=True)
    found = dependencies_inside(
        {
            "program": "Forge", "version": "f2.0", "python": "3.10.6",
            "libraries": {"torch": "2.8.0", "xformers": None},
            "files": [
                {"kind": "checkpoint", "path": str(checkpoint), "sha256": SHA256},
                {"kind": "lora", "path": str(tmp_path / "gone.safetensors"), "sha256": "short"},
            ],
            "extensions": str(tmp_path / "extensions"), "device": "cuda:0", "arguments": ["--medvram", "--port=7860"],
            "options": {"upcast_attn": True},
        }
    )  # fmt: skip
    assert [(file.name, file.kind, file.path, file.sha256) for file in found.files] == [
        ("dreamshaper_8.safetensors", "checkpoint", checkpoint, SHA256.lower()),
        ("gone.safetensors", "lora", None, None),
    ]  # fmt: skip
    assert found.versions == {"Forge": "f2.0", "python": "3.10.6", "torch": "2.8.0"}
    assert [extension.name for extension in found.custom_nodes] == ["adetailer"]
    assert (found.device, found.flags) == ("cuda:0", ("--medvram", "upcast_attn=True"))


@pytest.mark.parametrize("said", [{}, {"files": None, "libraries": None, "extensions": "", "device": None}])
def test_a_report_that_says_nothing_leaves_nothing(said):
    found = dependencies_inside(said)
    assert (found.files, found.versions, found.custom_nodes, found.device, found.flags) == ((), {}, (), None, ())
