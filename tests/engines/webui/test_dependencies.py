"""What images of a WebUI depend on, as a recorder inside it reports; and which LoRAs it has not."""

import httpx
import pytest

from stablenew.engines.webui.client import WebUIClient
from stablenew.engines.webui.dependencies import WebUIDependencies, choose_options, dependencies_inside

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


LORAS = [
    {"name": "ink", "alias": "Ink Style", "path": "/models/Lora/ink.safetensors"},
    {"name": "film", "alias": None, "path": "/models/Lora/sub/film.safetensors"},
    "odd",
]


def dependencies_of(*lists):
    """The dependencies of a server that lists these LoRAs, one list after the other; and how often it was asked."""
    left, asked = list(lists), []

    def handle(request):
        asked.append(request.url.path)
        answer = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(404) if answer is None else httpx.Response(200, json=answer)

    return WebUIDependencies(WebUIClient("", transport=httpx.MockTransport(handle))), asked


@pytest.mark.parametrize(
    ("called", "missing"),
    [
        (["ink"], []), (["Ink Style"], []), (["FILM"], []), (["sub/film"], []), (["gone"], ["gone"]),
        (["ink", "gone", "gone", "away"], ["gone", "away"]), ([], []),
    ],
)  # fmt: skip
def test_a_lora_is_there_under_any_of_its_names(called, missing):
    found, _ = dependencies_of(LORAS)
    assert found.find_missing_loras(called, {}) == missing


def test_what_has_a_hash_in_the_reply_was_there_and_nobody_is_asked():
    found, asked = dependencies_of([])
    ran = {"generation_params": {"Lora hashes": '"gone: 0123456789ab, other:name: ba9876543210"'}}
    assert found.find_missing_loras(["gone", "other:name"], ran) == []
    assert asked == []
    assert found.find_missing_loras(["third"], ran) == ["third"]


def test_the_list_is_asked_for_once_and_again_where_one_is_not_in_it():
    found, asked = dependencies_of([], LORAS)
    assert found.find_missing_loras(["ink"], {}) == ["ink"]
    assert found.find_missing_loras(["ink"], {}) == []
    assert found.find_missing_loras(["ink", "film"], {}) == []
    assert len(asked) == 2


@pytest.mark.parametrize("answer", [None, {}, "no list"])
def test_a_server_that_gives_no_list_is_believed(answer):
    found, _ = dependencies_of(answer)
    assert found.find_missing_loras(["gone"], {"generation_params": None}) == []
