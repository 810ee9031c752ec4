"""Changes planted between a run and its rerun, at stand-ins for servers: each is named, and nothing else."""

import pytest

from stablenew.engines.comfyui.engine import ComfyUIEngine
from stablenew.engines.webui.engine import WebUIEngine
from tests.engines import comfyui_server, webui_server
from tests.pipeline.reproduction.reruns import run_again, run_once

REPORT = {
    "Python": "3.10.6",
    "Version": "v1.10.1",
    "Commit": "82a973c04367123ae98bd9abdf80d9eda9b910e2",
    "Commandline": ["launch.py", "--api", "--port", "7860", "--api-auth", "<hidden>", "--xformers"],
    "Torch env info": {"nvidia_gpu_models": "GPU 0: NVIDIA GeForce RTX 3060"},
    "Extensions": [{"name": "adetailer", "commit": "a" * 40, "branch": "main", "remote": "r"}],
    "Packages": ["torch==2.1.2+cu121", "xformers==0.0.23.post1", "gradio==3.41.2", "-e git+x"],
}
COMMITS = ("1" * 40, "2" * 40)


@pytest.fixture
def webui():
    fake = webui_server.FakeWebUI()
    fake.report = dict(REPORT)
    fake.hashes = {"dreamshaper_8": "a" * 64}
    with webui_server.serving(fake) as fake.url:
        yield fake


@pytest.fixture
def comfyui(tmp_path):
    fake = comfyui_server.FakeComfyUI()
    for folder in ("checkpoints", "custom_nodes/packed/.git/refs/heads", "custom_nodes/zipped"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "checkpoints" / "dreamshaper_8.safetensors").write_bytes(b"weights")
    (tmp_path / "custom_nodes/packed/.git/HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "custom_nodes/packed/.git/refs/heads/main").write_text(f"{COMMITS[0]}\n")
    (tmp_path / "custom_nodes/zipped/pyproject.toml").write_text('[project]\nname = "zipped"\nversion = "1.2.0"\n')
    fake.folders = {name: [str(tmp_path / name)] for name in ("checkpoints", "custom_nodes")}
    with comfyui_server.serving(fake) as fake.url:
        yield fake


def run_webui(fake, tmp_path, plant, **settings):
    first = run_once(WebUIEngine(fake.url, poll_seconds=0.05), tmp_path / "runs", **settings)
    plant(fake)
    return run_again(first, WebUIEngine(fake.url, poll_seconds=0.05))


def reports(**fields):
    def plant(fake):
        fake.report = REPORT | fields

    return plant


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (reports(Version="v1.11.0"), "AUTOMATIC1111"),
        (reports(Packages=["torch==2.3.0", *REPORT["Packages"][1:]]), "torch"),
        (reports(Packages=REPORT["Packages"][:1]), "xformers"),
        (reports(Commandline=["launch.py", "--api", "--opt-sdp-attention", "--xformers"]), "--opt-sdp-attention"),
        (reports(**{"Torch env info": {"nvidia_gpu_models": "GPU 0: NVIDIA L4"}}), "device"),
        (reports(Extensions=[REPORT["Extensions"][0] | {"commit": "b" * 40}]), "extension adetailer"),
        (lambda fake: fake.options.update(CLIP_stop_at_last_layers=2), "Clip skip"),
        (lambda fake: fake.options.update(randn_source="CPU"), "randn_source"),
        (lambda fake: fake.hashes.update(dreamshaper_8="b" * 64), "checkpoint dreamshaper_8.safetensors"),
    ],
)
def test_what_changed_at_a_webui_is_named(webui, tmp_path, plant, name):
    webui.options["randn_source"] = "GPU"
    found = run_webui(webui, tmp_path, plant)
    assert [change.name for change in found.changes] == [name]
    assert not found.unknown


def test_a_sampler_that_was_substituted_is_the_cause(webui, tmp_path, monkeypatch):
    def plant(_fake):
        monkeypatch.setattr(webui_server, "SAMPLERS", ["DPM++ 2M"])

    found = run_webui(webui, tmp_path, plant, sampler="Euler a")
    assert found.cause is None, "the stand-in draws what was asked, so the image is the same"
    assert [change.describe() for change in found.changes] == ["Sampler: Euler a then, DPM++ 2M now"]


def test_an_unchanged_webui_gives_identical_images_and_no_change(webui, tmp_path):
    found = run_webui(webui, tmp_path, lambda fake: None)
    assert found.count_verdicts() == {"identical": 1}
    assert (found.changes, found.unknown) == ((), ())


def test_no_secret_of_a_command_line_is_recorded(webui, tmp_path):
    webui.report["Commandline"] = ["launch.py", "--api-auth", "alice:secret", "--medvram", "--gradio-auth=a:secret"]
    run = run_once(WebUIEngine(webui.url), tmp_path / "runs")
    assert run.metadata.closure.flags == ("--medvram", "eta_noise_seed_delta=0")
    assert b"secret" not in (run.path / "run_metadata.json").read_bytes()


def commit(fake, tmp_path):
    (tmp_path / "custom_nodes/packed/.git/packed-refs").write_text(f"# pack-refs\n{COMMITS[1]} refs/heads/main\n")
    (tmp_path / "custom_nodes/packed/.git/refs/heads/main").unlink()


def swap_model(fake, tmp_path):
    (tmp_path / "checkpoints" / "dreamshaper_8.safetensors").write_bytes(b"other weights")


def test_images_that_comfyui_had_kept_prove_nothing_and_that_is_said(comfyui, tmp_path):
    first = run_once(ComfyUIEngine(comfyui.url, poll_seconds=0.05), tmp_path / "runs", model="dreamshaper_8", steps=2)
    kept = run_again(first, ComfyUIEngine(comfyui.url, poll_seconds=0.05))
    assert kept.count_verdicts() == {"identical": 1}
    assert kept.unknown == ("whether the server draws the same again: it gave what it had kept (variants: 1)",)
    comfyui.cache.clear()
    assert not run_again(first, ComfyUIEngine(comfyui.url, poll_seconds=0.05)).unknown


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (commit, "extension packed: commit 111111111111 then, commit 222222222222 now"),
        (lambda fake, _: fake.system.update(comfyui_version="0.3.65"), "comfyui: 0.3.64 then, 0.3.65 now"),
        (lambda fake, _: fake.system.update(pytorch_version="2.9.0"), "torch: 2.8.0+cu128 then, 2.9.0 now"),
        (lambda fake, _: setattr(fake, "device", "cpu"), "device: cuda:0 NVIDIA then, cpu now"),
        (lambda fake, _: fake.system["argv"].append("--force-fp32"), "--force-fp32: not there then, given now"),
        (swap_model, "checkpoint dreamshaper_8.safetensors: sha256 9a129038d9a0 then, sha256 "),
        (
            lambda _, path: (path / "custom_nodes/zipped/pyproject.toml").write_text('version = "1.3.0"\n'),
            "extension zipped: 1.2.0 then, 1.3.0 now",
        ),
    ],
)
def test_what_changed_at_a_comfyui_is_named(comfyui, tmp_path, plant, words):
    settings = {"model": "dreamshaper_8", "steps": 2}
    first = run_once(ComfyUIEngine(comfyui.url, poll_seconds=0.05), tmp_path / "runs", **settings)
    plant(comfyui, tmp_path)
    comfyui.cache.clear()  # it was started again
    found = run_again(first, ComfyUIEngine(comfyui.url, poll_seconds=0.05))
    (change,) = found.changes
    assert change.describe().startswith(words)
    assert not found.unknown
