"""The folders that record inside other programs, run inside programs that call them as the real ones do."""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from PIL import Image

from stablenew import RunStore, RunVerifier
from stablenew.cli.main import _run

HERE = Path(__file__).parent


@pytest.fixture
def installed(tmp_path, capsys):
    """Write a hook folder as a user would; gives it and the runs folder."""

    def install(tool):
        runs = tmp_path / "runs"
        program = tmp_path / tool
        (program / {"webui": "extensions", "comfyui": "custom_nodes"}[tool]).mkdir(parents=True)
        (program / "models").mkdir()
        assert _run(["--runs-dir", str(runs), "--json", "engines", "install", tool, str(program)]) == 0
        return Path(json.loads(capsys.readouterr().out)["folder"]), runs

    return install


def run_program(tool, folder, tmp_path, what, *more, **options):
    program = [sys.executable, str(HERE / f"fake_{tool}.py"), str(folder), str(tmp_path / "made"), what, *more]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def wait_for_runs(runs, count, seconds=120):
    """The runs, when so many are sealed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = sorted(RunStore(runs).iter_runs(), key=lambda run: run.run_id) if runs.exists() else []
        if len(found) >= count and all(run.is_sealed for run in found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(found)} runs, {[run.is_sealed for run in found]}")


def wait_for_seals(runs, count, seconds=120):
    end = time.monotonic() + seconds
    while sum(run.is_sealed for run in RunStore(runs).iter_runs()) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_webui_records_what_it_saves(installed, tmp_path):
    folder, runs = installed("webui")
    assert folder == tmp_path / "webui" / "extensions" / "stablenew-recorder"
    run_program("webui", folder, tmp_path, "two runs")
    first, second = wait_for_runs(runs, 2)
    records = list(first.iter_records())
    assert [record.outputs[0].seed for record in records] == [11, 12, 13, 14], "no grids, nothing saved on the way"
    for number, record in enumerate(records):
        (output,) = record.outputs
        made = (tmp_path / "made" / f"00011-{number}.png").read_bytes()
        assert (first.path / output.path).read_bytes() == made, "the very file that was saved"
    record = records[0]
    assert (record.prompt.positive, record.prompt.negative) == ("a quiet harbour", "fog")
    assert record.requested.seed == -1, "as it was asked for"
    assert (record.actual.seed, record.actual.steps, record.actual.sampler) == (11, 20, "DPM++ 2M")
    assert (record.actual.model, record.actual.model_hash) == ("dreamshaper_8", "879db523c3")
    assert (record.actual.scheduler, record.actual.width, record.variant.total) == ("Karras", 64, 4)
    assert (record.source.name, record.source.engine_version) == ("webui", "v1.10.1")
    assert first.metadata.status == second.metadata.status == "completed"
    assert len(list(second.iter_records())) == 1
    assert all(RunVerifier(run, deep=True).verify().is_ok for run in (first, second))


def test_a_generation_that_raises_is_a_failed_run_at_once(installed, tmp_path):
    folder, runs = installed("webui")
    program = [sys.executable, str(HERE / "fake_webui.py"), str(folder), str(tmp_path / "made"), "raises"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        nothing, some, whole = wait_for_runs(runs, 3)  # while the program still runs
        process.communicate()
    assert [run.metadata.status for run in (nothing, some, whole)] == ["failed", "failed", "completed"]
    (record,) = nothing.iter_records()
    assert (record.status, record.prompt.positive, record.requested.steps) == ("failed", "a quiet harbour", 20)
    assert record.error.message == "RuntimeError: could not find upscaler named Nosuch"
    assert [record.status for record in some.iter_records()] == ["completed"] * 2
    assert some.metadata.error.message == "RuntimeError: could not find upscaler named Nosuch"


def test_every_cell_of_a_plot_is_a_variant_of_one_run(installed, tmp_path):
    folder, runs = installed("webui")
    run_program("webui", folder, tmp_path, "plot")
    (run,) = wait_for_runs(runs, 1)
    records = list(run.iter_records())
    assert [record.requested.cfg_scale for record in records] == [3, 5, 7, 9]
    assert [record.status for record in records] == ["completed", "completed", "failed", "completed"]
    assert "ended without an image" in records[2].error.message
    assert [model.name for model in run.metadata.closure.models] == ["dreamshaper_8.safetensors", "other.safetensors"]
    assert run.metadata.status == "completed"


@pytest.mark.parametrize(("what", "seeds"), [("loopback", [[11, 12, 13]]), ("no setup", [[11], [77]])])
def test_a_job_is_a_run_where_the_webui_tells_of_jobs_and_else_each_generation(installed, tmp_path, what, seeds):
    folder, runs = installed("webui")
    run_program("webui", folder, tmp_path, what)
    found = [[record.outputs[0].seed for record in run.iter_records()] for run in wait_for_runs(runs, len(seeds))]
    assert sorted(found) == seeds
    assert all(run.metadata.status == "completed" for run in RunStore(runs).iter_runs())


def test_an_image_that_was_stopped_is_not_recorded_as_finished(installed, tmp_path):
    folder, runs = installed("webui")
    run_program("webui", folder, tmp_path, "interrupted")
    (run,) = wait_for_runs(runs, 1)
    assert run.metadata.status == "cancelled"
    assert [record.status for record in run.iter_records()] == ["completed", "cancelled"]


def test_what_a_webuis_images_depend_on_is_recorded(installed, tmp_path):
    folder, runs = installed("webui")
    run_program("webui", folder, tmp_path, "two runs")
    for run in wait_for_runs(runs, 2):
        closure = run.metadata.closure
        (model,) = closure.models
        assert (model.name, model.sha256) == ("dreamshaper_8.safetensors", hashlib.sha256(b"weights").hexdigest())
        assert (closure.versions["AUTOMATIC1111"], closure.device) == ("v1.10.1", "cpu")
        assert [node.name for node in closure.custom_nodes] == ["stablenew-recorder"]
        assert set(closure.flags) == {"eta_noise_seed_delta=0", "randn_source=CPU"}, "no folder of the user's"


def test_what_saves_nothing_leaves_no_run(installed, tmp_path):
    folder, runs = installed("webui")
    run_program("webui", folder, tmp_path, "api")
    time.sleep(1)
    assert not runs.exists() or not list(RunStore(runs).iter_runs())


def test_an_image_of_the_extras_is_a_run_of_its_own(installed, tmp_path):
    folder, runs = installed("webui")
    run_program("webui", folder, tmp_path, "extras")
    (run,) = wait_for_runs(runs, 1)
    (record,) = run.iter_records()
    assert record.outputs[0].stage == "upscale"


@pytest.mark.parametrize(("what", "count"), [("crash", 4), ("crash in a plot", 2)])
def test_a_webui_that_is_killed_leaves_what_it_had_saved(installed, tmp_path, what, count):
    folder, runs = installed("webui")
    program = [sys.executable, str(HERE / "fake_webui.py"), str(folder), str(tmp_path / "made"), what, "0"]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"told\n"
    wait_for_records(runs, count)
    process.kill()
    process.communicate()
    (run,) = wait_for_runs(runs, 1)
    assert run.metadata.status == "cancelled"
    assert len(list(run.iter_records())) == count


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find the recorder")
def test_a_recorder_that_is_killed_loses_no_image_and_the_rest_of_the_job_stays_together(installed, tmp_path):
    folder, runs = installed("webui")
    program = [sys.executable, str(HERE / "fake_webui.py"), str(folder), str(tmp_path / "made"), "waits", "0"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"told\n"
        wait_for_records(runs, 2)
        os.kill(recorder_of(folder)[0], signal.SIGKILL)  # what is said while it dies still goes into its pipe
        process.communicate()
    wait_for_seals(runs, 1)
    begun, rest = sorted(RunStore(runs).iter_runs(), key=lambda run: run.run_id)
    saved = [list(run.iter_records()) for run in (begun, rest)]
    assert [len(records) for records in saved] in ([2, 3], [2, 4]), "what was not confirmed in time is there twice"
    assert {record.requested.cfg_scale for records in saved for record in records} == {3, 5, 7, 9, 11}
    assert (begun.is_sealed, rest.metadata.status) == (False, "completed")


def wait_for_records(runs, count, seconds=120):
    end = time.monotonic() + seconds
    while sum(len(list(run.iter_records())) for run in RunStore(runs).iter_runs()) < count:
        assert time.monotonic() < end
        time.sleep(0.02)


def recorder_of(folder):
    """The process ids of the recorders that were started by a folder."""
    runs_dir = json.loads((folder / "stablenew.json").read_text())["runs_dir"]
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"stablenew.controller.hook_listener" in words and runs_dir.encode() in words:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find the recorder")
def test_a_recorder_that_hangs_slows_nobody_down(installed, tmp_path):
    folder, _ = installed("webui")
    program = [sys.executable, str(HERE / "fake_webui.py"), str(folder), str(tmp_path / "made"), "many", "2"]
    said = tmp_path / "said.txt"
    with said.open("wb") as console:  # no pipe: the recorder that hangs would hold its end
        process = subprocess.Popen(program, stdout=console, stderr=console)
    while not (recorders := recorder_of(folder)):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(recorders[0], signal.SIGSTOP)
    try:
        assert process.wait(timeout=120) == 0
    finally:
        os.kill(recorders[0], signal.SIGKILL)
    assert json.loads(said.read_text().splitlines()[-1]) == {"saved": 9}
    assert said.read_text().count("does not keep up") == 1


def test_a_recorder_that_cannot_start_is_said_once_and_harms_nobody(installed, tmp_path):
    folder, _ = installed("webui")
    (folder / "stablenew.json").write_text(json.dumps({"python": "/not/there", "runs_dir": str(tmp_path / "runs")}))
    told, err = run_program("webui", folder, tmp_path, "two runs")
    assert told["saved"] == 12
    assert err.count("cannot be started, so nothing is recorded: /not/there") == 1


def test_comfyui_records_every_prompt(installed, tmp_path):
    folder, runs = installed("comfyui")
    assert folder == tmp_path / "comfyui" / "custom_nodes" / "stablenew-recorder"
    run_program("comfyui", folder, tmp_path, "prompts")
    first, second = wait_for_runs(runs, 2)
    time.sleep(0.5)
    assert len(list(RunStore(runs).iter_runs())) == 2, "a cached prompt that only names its old file is no run"
    (record,) = first.iter_records()
    (output,) = record.outputs
    made = (tmp_path / "made" / "output" / f"ComfyUI_{2**64 - 1}_.png").read_bytes()
    assert (first.path / output.path).read_bytes() == made, "what was saved, and not what was shown beside it"
    assert output.seed == record.actual.seed == 2**64 - 1
    assert (record.prompt.positive, record.prompt.negative) == ("a quiet harbour", "fog")
    assert (record.actual.sampler, record.actual.scheduler, record.actual.steps) == ("DPM++ 2M", "Karras", 20)
    assert (record.actual.model, record.source.engine_version) == ("sd_xl_base_1.0", "0.3.64")
    assert first.metadata.config["workflow"]["4"]["class_type"] == "CheckpointLoaderSimple"
    assert all(RunVerifier(run, deep=True).verify().is_ok for run in (first, second))


def test_what_comfyuis_images_depend_on_is_recorded(installed, tmp_path):
    folder, runs = installed("comfyui")
    other = folder.parent / "packed"
    (other / ".git").mkdir(parents=True)
    (other / ".git" / "HEAD").write_text("a" * 40 + "\n")
    checkpoint = tmp_path / "made" / "checkpoints" / "sdxl" / "sd_xl_base_1.0.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    run_program("comfyui", folder, tmp_path, "prompts")
    first, _ = wait_for_runs(runs, 2)
    closure = first.metadata.closure
    (model,) = closure.models
    assert (model.name, model.sha256) == ("sdxl/sd_xl_base_1.0.safetensors", hashlib.sha256(b"weights").hexdigest())
    assert {node.name: node.commit for node in closure.custom_nodes} == {"packed": "a" * 40, "stablenew-recorder": None}
    assert closure.versions["comfyui"] == "0.3.64"
    assert closure.device == "cpu"


def test_an_older_comfyui_gives_prompts_ids_of_its_own(installed, tmp_path):
    folder, runs = installed("comfyui")
    run_program("comfyui", folder, tmp_path, "old server")
    assert [run.metadata.status for run in wait_for_runs(runs, 2)] == ["completed", "completed"]


def test_comfyuis_failures_are_recorded_as_such(installed, tmp_path):
    folder, runs = installed("comfyui")
    run_program("comfyui", folder, tmp_path, "failures")
    failed, stopped = wait_for_runs(runs, 2)
    assert (failed.metadata.status, stopped.metadata.status) == ("failed", "cancelled")
    (record,) = failed.iter_records()
    assert record.error.message == "node 3 (KSampler) failed: ValueError: mat1"


def test_a_prompt_that_comfyui_refuses_is_recorded_with_its_reason(installed, tmp_path):
    folder, runs = installed("comfyui")
    run_program("comfyui", folder, tmp_path, "refused")
    (run,) = wait_for_runs(runs, 1)
    (record,) = run.iter_records()
    assert (run.metadata.status, record.requested.seed, record.prompt.positive) == ("failed", 6, "a quiet harbour")
    assert record.actual is None or not record.actual.to_dict(), "nothing ran"
    assert record.error.message == (
        "ComfyUI refused the prompt: node 4 (CheckpointLoaderSimple): Value not in list: "
        "ckpt_name: 'gone' not in ['tiny.safetensors']"
    )


def test_a_prompt_that_comfyui_takes_in_part_says_what_was_left_out(installed, tmp_path):
    folder, runs = installed("comfyui")
    run_program("comfyui", folder, tmp_path, "partly")
    (run,) = wait_for_runs(runs, 1)
    (record,) = run.iter_records()
    assert (run.metadata.status, len(record.outputs)) == ("completed", 1)
    (notice,) = record.actual.to_dict()["notices"]
    assert notice.startswith("ComfyUI left a part of the workflow out: node 4 (CheckpointLoaderSimple)")


def test_the_node_records_what_nobody_saves_and_gives_tags(installed, tmp_path):
    folder, runs = installed("comfyui")
    run_program("comfyui", folder, tmp_path, "node")
    (run,) = wait_for_runs(runs, 1)
    (record,) = run.iter_records()
    assert record.learning_tags == ("portrait", "keeper")
    assert len(record.outputs) == 2
    with Image.open(run.path / record.outputs[0].path) as image:
        assert image.getpixel((0, 0)) == (127, 127, 127)
        assert json.loads(image.text["prompt"])["3"]["class_type"] == "KSampler"


def test_prompts_of_our_own_engine_are_not_recorded_a_second_time(installed, tmp_path):
    folder, runs = installed("comfyui")
    run_program("comfyui", folder, tmp_path, "ours")
    (run,) = wait_for_runs(runs, 1)
    time.sleep(0.5)
    assert [run.run_id for run in RunStore(runs).iter_runs()] == [run.run_id]
    assert next(run.iter_records()).actual.seed == 2


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that nothing can catch")
def test_a_comfyui_that_is_killed_leaves_what_it_worked_on(installed, tmp_path):
    folder, runs = installed("comfyui")
    program = [sys.executable, str(HERE / "fake_comfyui.py"), str(folder), str(tmp_path / "made"), "crash"]
    done = subprocess.run(program, capture_output=True, timeout=120)
    assert done.stdout == b"working\n", done.stderr
    (run,) = wait_for_runs(runs, 1)
    (record,) = run.iter_records()
    assert (run.metadata.status, record.actual.seed, record.prompt.positive) == ("interrupted", 3, "a quiet harbour")


def test_a_folder_that_lies_elsewhere_is_to_be_copied(tmp_path, capsys):
    runs = tmp_path / "runs"
    assert _run(["--runs-dir", str(runs), "engines", "install", "comfyui", str(tmp_path), "--to-copy"]) == 0
    said = capsys.readouterr().out.replace("\n", "")
    assert "copy it into the folder custom_nodes of comfyui" in said
    settings = json.loads((tmp_path / "stablenew-recorder" / "stablenew.json").read_text())
    assert settings == {"python": sys.executable, "runs_dir": str(runs)}


def test_another_program_is_no_place_for_it(tmp_path, capsys):
    assert _run(["engines", "install", "fooocus", str(tmp_path)]) == 2
    assert "webui, comfyui" in capsys.readouterr().err


def load_hook(folder, name, modules, monkeypatch):
    """The hook module of an installed folder, inside a program that has these modules."""
    for module, fields in modules.items():
        made = types.ModuleType(module)
        vars(made).update(fields)
        monkeypatch.setitem(sys.modules, module, made)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "stablenew_bridge", raising=False)
    spec = importlib.util.spec_from_file_location("hook_under_test", folder / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "fields", "options", "is_image"),
    [
        ("00001-7", {}, {}, True),
        ("xyz_grid-0003-7", {}, {}, False),
        ("grid-0001-7-a quay", {}, {}, False),
        ("grid-0001 of a city", {"prompt": "grid-0001 of a city"}, {}, True),
        ("00001-a bird-mask", {"prompt": "a bird-mask"}, {"save_mask": True}, True),
        ("00001-7-mask", {}, {"save_mask": True}, False),
        ("00001-7-mask", {}, {}, True),
        ("00001-7-ad-before", {}, {"ad_save_images_before": True}, False),
        ("before-highres-fix", {"prompt": "before highres fix"}, {"save_images_before_highres_fix": True}, True),
        ("grids/00001", {"outpath_grids": "grids", "outpath_samples": "."}, {}, False),
        ("images/grid-0001", {"outpath_grids": "grids", "outpath_samples": "images"}, {}, True),
        ("images/day/00001", {"outpath_grids": ".", "outpath_samples": "images"}, {}, True),
        ("init/3f9a", {}, {"save_init_img": True, "outdir_init_images": "init"}, False),
    ],
)
def test_grids_and_masks_are_known_by_folder_and_option_and_not_by_their_look(
    installed, tmp_path, monkeypatch, name, fields, options, is_image
):
    folder, _ = installed("webui")
    monkeypatch.chdir(tmp_path)
    space = types.SimpleNamespace
    modules = {
        "modules": {"__path__": []},
        "modules.script_callbacks": {"on_image_saved": lambda _: None},
        "modules.scripts": {"Script": object, "AlwaysVisible": object()},
        "modules.shared": {"opts": space(**options), "state": space()},
    }
    modules["modules"] |= {name.rpartition(".")[2]: space(**fields) for name, fields in modules.items() if "." in name}
    hook = load_hook(folder / "scripts", "stablenew_recorder.py", modules, monkeypatch)
    sent = []
    monkeypatch.setattr(hook.bridge, "send", lambda **message: sent.append(message))
    p = space(**{"prompt": "a quay", **fields})
    hook.on_image_saved(space(p=p, filename=f"{name}.png", pnginfo={}))
    assert bool(sent) == is_image


def test_what_comfyui_shows_is_reported_file_by_file_whatever_stands_beside_it(installed, tmp_path, monkeypatch):
    folder, _ = installed("comfyui")
    prompt_server = types.SimpleNamespace(add_on_prompt_handler=lambda _: None)
    modules = {
        "server": {"PromptServer": types.SimpleNamespace(instance=prompt_server)},
        "folder_paths": {"get_directory_by_type": lambda kind: str(tmp_path) if kind != "nowhere" else None},
    }
    hook = load_hook(folder, "__init__.py", modules, monkeypatch)
    sent = []
    monkeypatch.setattr(hook.bridge, "send", lambda **message: sent.append(message))
    (tmp_path / "a.png").write_bytes(b"12345")
    outputs = {
        "1": None,
        "2": [],
        "3": {"images": [{"source": "websocket", "type": "output"}, "text", None], "animated": (True,)},
        "4": {"gifs": [{"filename": "a.mp4", "type": "temp"}], "text": ["done"]},
        "5": {"audio": ({"filename": "a.flac", "subfolder": "sound"},), "latents": [{"filename": "a.latent"}]},
        "6": {"images": [{"filename": "b.png", "type": "nowhere"}, {"filename": "a.png"}, {"filename": 5}]},
    }
    hook.report({}, {"outputs": outputs})
    (message,) = sent
    assert [Path(image["path"]).relative_to(tmp_path).as_posix() for image in message["images"]] == [
        "a.mp4", "sound/a.flac", "a.png",
    ]  # fmt: skip
    assert message["images"][-1]["size_bytes"] == 5
