"""Changes planted between a run and its rerun, with diffusers on this machine's CPU: each is named, and nothing else.

`test_planted_servers.py` plants those that servers can have.
"""

import json
import shutil
import sys

import pytest

from stablenew.engines.dependencies import installed_versions
from stablenew.engines.diffusers.engine import DiffusersEngine
from tests.pipeline.reproduction.reruns import run_again, run_once
from tests.profiles import by_profile

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the libraries, among themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
RERUNS = by_profile(few=1, quick=3, ci=5, nightly=100)
SETTINGS = {"steps": 3, "sampler": "Euler"}


@pytest.fixture(scope="module")
def original(tmp_path_factory, tiny_diffusion):
    folder = tmp_path_factory.mktemp("original")
    tiny_diffusion.make_pipeline(folder / "parts").save_pretrained(folder / "tiny")
    return folder / "tiny"


@pytest.fixture
def model(original, tmp_path):
    """A model of the test's own, to be changed."""
    return shutil.copytree(original, tmp_path / "tiny")


def make_engine(model):
    return DiffusersEngine(str(model), device="cpu")


def run(model, tmp_path, **settings):
    return run_once(make_engine(model), tmp_path / "runs", **SETTINGS, **settings)


def scale(path, factor):
    """Other weights under the same names."""
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    save_file({name: value * factor for name, value in weights.items()}, path)


def swap_model(model):
    scale(model / UNET, 1.5)


def swap_vae(model):
    scale(model / VAE, 1.5)


def change_schedule(model):
    path = model / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"beta_end": 0.02}))


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (swap_model, f"checkpoint tiny/{UNET}"),
        (swap_vae, f"VAE tiny/{VAE}"),
        (change_schedule, "scheduler tiny/scheduler/scheduler_config.json"),
    ],
)
def test_a_file_that_was_swapped_under_its_name_is_the_cause(model, tmp_path, plant, name):
    first = run(model, tmp_path)
    plant(model)
    found = run_again(first, make_engine(model))
    assert [change.name for change in found.changes] == [name]
    assert found.cause == found.changes[0]
    assert not found.is_exact


def test_several_files_of_one_model_are_one_change(model, tmp_path):
    first = run(model, tmp_path)
    swap_model(model)
    swap_vae(model)
    found = run_again(first, make_engine(model))
    assert [change.name for change in found.changes] == ["checkpoint tiny (2 files)"]


def test_two_changes_are_named_and_neither_is_called_the_cause(model, tmp_path):
    first = run(model, tmp_path)
    swap_model(model)
    found = run_again(first, make_engine(model), "txt2img.extra.dtype=bfloat16")
    assert {change.kind for change in found.changes} == {"file", "dtype"}
    assert found.cause is None
    assert "2 things changed; which of them is the cause cannot be told" in found.conclude()


def test_another_number_type_is_the_cause(model, tmp_path):
    found = run_again(run(model, tmp_path), make_engine(model), "txt2img.extra.dtype=bfloat16")
    assert [change.describe() for change in found.changes] == ["dtype: float32 then, bfloat16 now"]
    (image,) = found.images
    assert image.verdict == "looks alike"
    assert 0 < image.difference.mean < 4


def test_another_lora_under_its_name_is_the_cause(model, tmp_path, tiny_diffusion):
    folder = tmp_path / "loras"
    tiny_diffusion.save_lora(model, folder / "ink.safetensors")
    engine = make_engine(model)
    extra = {"lora_dir": str(folder)}
    first = run_once(engine, tmp_path / "runs", prompt="a hill <lora:ink:1>", **SETTINGS, extra=extra)
    scale(folder / "ink.safetensors", 2.0)
    found = run_again(first, make_engine(model))
    assert [change.name for change in found.changes] == ["LoRA ink.safetensors"]
    assert found.cause == found.changes[0]


def test_another_attention_kernel_is_named(model, tmp_path):
    import torch

    first = run(model, tmp_path)
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        found = run_again(first, make_engine(model))
    finally:
        torch.backends.cuda.enable_flash_sdp(True)
    assert [change.name for change in found.changes] == ["attention_kernels"]


def test_another_version_of_a_library_is_named(model, tmp_path, monkeypatch):
    first = run(model, tmp_path)
    (tmp_path / "site" / "torch-9.9.9.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "torch-9.9.9.dist-info" / "METADATA").write_text("Name: torch\nVersion: 9.9.9\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    installed_versions.cache_clear()
    try:
        found = run_again(first, make_engine(model))
    finally:
        installed_versions.cache_clear()
    assert [change.name for change in found.changes] == ["torch"]
    assert found.changes[0].describe().endswith("then, 9.9.9 now")
    assert found.is_exact
    assert found.conclude() == "what changed had no effect on these images"


def test_another_sampler_that_was_asked_for_is_one_change(model, tmp_path):
    found = run_again(run(model, tmp_path), make_engine(model), "txt2img.sampler=DPM++ 2M")
    assert [change.describe() for change in found.changes] == ["Sampler: Euler then, DPM++ 2M now (as asked)"]
    assert found.cause == found.changes[0]


@pytest.mark.timeout(3600)
def test_unchanged_reruns_are_identical_and_nothing_changed(model, tmp_path):
    first = run(model, tmp_path)
    for _ in range(RERUNS):
        found = run_again(first, make_engine(model))
        assert found.count_verdicts() == {"identical": 1}
        assert (found.changes, found.unknown) == ((), ())
        assert found.conclude() == "nothing known changed"
