"""The ComfyUI engine against a server that speaks as the real one does, and misbehaves as it does."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest
from PIL import Image

from stablenew import CancelToken, PipelineConfig, PipelineController, RunStore, RunVerifier, StageRequest, open_engine
from stablenew.cli.main import _run
from stablenew.engines.comfyui.engine import ComfyUIEngine
from stablenew.engines.engine import StageMonitor
from stablenew.errors import Cancelled, ConfigError, EngineError
from stablenew.formats.digest import digest_bytes
from tests.engines.comfyui_server import IMPACT, MODELS, NODES, FakeComfyUI, serving
from tests.engines.engine_contract import PROMPT, SERVER_STAGES, SETTINGS, EngineContract


class TestContract(EngineContract):
    """What every engine promises."""

    @pytest.fixture(autouse=True)
    def _server(self):
        fake = FakeComfyUI(seconds_per_step=0.005)
        with serving(fake) as self.url:
            yield

    def make_engine(self):
        return ComfyUIEngine(self.url, poll_seconds=0.1)


@pytest.fixture
def comfyui():
    """Start a server with some quirks; gives the server and an engine for it."""
    with contextlib.ExitStack() as servers:

        def start(*quirks, stall_seconds=900.0, **options):
            fake = FakeComfyUI(quirks=quirks, **options)
            fake.url = servers.enter_context(serving(fake))
            return fake, ComfyUIEngine(fake.url, poll_seconds=0.05, stall_seconds=stall_seconds)

        yield start


def ask(engine, stage="txt2img", *, inputs=(), monitor=None, prompt=PROMPT, **settings):
    request = StageRequest(stage, {**SETTINGS, **settings}, prompt, "blurry", tuple(inputs))
    return engine.run_stage(request, monitor or StageMonitor())


def record_run(engine, tmp_path, **config):
    controller = PipelineController(engine=engine, runs_dir=tmp_path / "runs")
    result = controller.run(PipelineConfig(prompt=PROMPT, learning_enabled=True, **config))
    (run,) = RunStore(tmp_path / "runs").iter_runs()
    (record,) = run.iter_records()
    return result, run, record


def sampler_of(body):
    return next(node["inputs"] for node in body["prompt"].values() if node["class_type"] == "KSampler")


def test_a_batch_through_all_stages_is_recorded_right(comfyui, tmp_path):
    fake, engine = comfyui()
    result, run, record = record_run(engine, tmp_path, **SERVER_STAGES)
    assert result.status == "completed"
    assert (record.requested.seed, record.requested.model) == (11, "sd_xl_base_1.0")
    assert (record.actual.model, record.actual.seed) == ("sd_xl_base_1.0", 11)
    assert (record.actual.sampler, record.actual.scheduler, record.actual.steps) == ("DPM++ 2M", "Karras", 6)
    assert (record.actual.clip_skip, record.actual.width, record.actual.height) == (2, 64, 48)
    by_stage = {}
    for output in record.outputs:
        by_stage.setdefault(output.stage, []).append(output)
        assert digest_bytes((run.path / output.path).read_bytes()) == output.digest
    assert {stage: len(outputs) for stage, outputs in by_stage.items()} == dict.fromkeys(SERVER_STAGES, 4)
    for outputs in by_stage.values():
        assert [output.seed for output in outputs] == [11, 12, 13, 14]
    for earlier, later in pairwise(SERVER_STAGES):
        parents = [output.parents for output in by_stage[later]]
        assert parents == [(output.digest,) for output in by_stage[earlier]]
    assert [(one.width, one.height) for one in by_stage["upscale"]] == [(128, 96)] * 4
    assert RunVerifier(run, deep=True).verify().is_ok
    actual = {event.name: event.actual for event in record.stages}
    assert actual["img2img"]["denoising_strength"] == 0.4
    assert actual["adetailer"]["steps"] == 8
    checkpoints = {node["inputs"].get("ckpt_name") for body in fake.requests for node in body["prompt"].values()}
    assert checkpoints - {None} == {"sdxl/sd_xl_base_1.0.safetensors"}, "later stages keep the checkpoint of the first"


def test_the_bytes_are_those_that_the_server_has(comfyui):
    fake, engine = comfyui()
    (image,) = ask(engine).images
    assert image.data in fake.files.values()
    with Image.open(io.BytesIO(image.data)) as opened:
        assert json.loads(opened.text["prompt"]) == fake.requests[0]["prompt"], "the workflow is still in it"


def test_every_image_is_a_prompt_of_its_own_and_one_waits_ahead(comfyui):
    fake, engine = comfyui(seconds_per_step=0.25)
    ask(engine, batch_size=4)
    assert [sampler_of(body)["seed"] for body in fake.requests] == [11, 12, 13, 14]
    assert fake.finished_at_submit[:2] == [0, 0], "the second waits while the first runs"
    assert fake.finished_at_submit[2] >= 1, "and no more than one waits"


def test_a_sampler_named_with_its_schedule_is_sent_as_both(comfyui):
    fake, engine = comfyui()
    ask(engine, sampler="DPM++ 2M Karras", scheduler=None)
    ran = sampler_of(fake.requests[0])
    assert (ran["sampler_name"], ran["scheduler"]) == ("dpmpp_2m", "karras")
    ask(engine, sampler="DPM++ 2M Karras", scheduler="Simple")
    assert sampler_of(fake.requests[1])["scheduler"] == "simple", "what is asked for by itself counts"


def test_seeds_have_64_bits(comfyui, tmp_path):
    fake, engine = comfyui()
    _, _, record = record_run(engine, tmp_path, txt2img={**SETTINGS, "seed": 2**64 - 1, "batch_size": 2})
    assert [output.seed for output in record.outputs] == [2**64 - 1, 0]
    assert record.actual.seed == 2**64 - 1
    assert sampler_of(fake.requests[0])["seed"] == 2**64 - 1


OWN = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 1, "steps": 40, "cfg": 1.0, "sampler_name": "ddim", "scheduler": "simple", "denoise": 1.0,
            "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dreamshaper_8.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 4}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a bottle", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "watermark", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "mine", "images": ["8", 0]}},
    "10": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}},
}  # fmt: skip


def test_a_workflow_of_the_users_own_is_filled_in_and_recorded(comfyui, tmp_path):
    fake, engine = comfyui()
    (tmp_path / "mine.json").write_text(json.dumps(OWN))
    extra = {"workflow": str(tmp_path / "mine.json"), "bind.steps": None, "9.filename_prefix": "other"}
    result, _, record = record_run(engine, tmp_path, txt2img={**SETTINGS, "extra": extra})
    assert result.status == "completed", result.error
    graph = fake.requests[0]["prompt"]
    assert graph["6"]["inputs"]["text"] == PROMPT
    assert graph["7"]["inputs"]["text"] == "watermark", "nobody asked for another negative prompt"
    assert record.actual.to_dict()["negative_prompt"] == "watermark"
    assert graph["5"]["inputs"] == {"width": 64, "height": 48, "batch_size": 4}, "a batch stays as the workflow has it"
    assert graph["3"]["inputs"]["steps"] == 40, "unbound: the workflow's own value stays"
    assert graph["9"]["inputs"]["filename_prefix"] == "other"
    assert (record.requested.steps, record.actual.steps) == (4, 40)
    assert (record.actual.model, record.actual.sampler) == ("dreamshaper_8", "Euler a")
    actual = record.actual.to_dict()
    assert actual["workflow_digest"] == digest_bytes(json.dumps(OWN, sort_keys=True).encode())
    assert [output.seed for output in record.outputs] == [11] * 4, "the whole batch, and each image once"


def test_later_stages_go_on_with_the_checkpoint_of_the_users_workflow(comfyui):
    fake, engine = comfyui()
    own = {**OWN, "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": MODELS[1]}}}
    first = ask(engine, extra={"workflow": own})
    ask(engine, "img2img", inputs=first.images)
    assert fake.requests[-1]["prompt"]["checkpoint"]["inputs"]["ckpt_name"] == MODELS[1]


def test_what_is_left_to_the_workflow_need_not_be_known(comfyui):
    fake, engine = comfyui()
    ask(engine, sampler="Restart", extra={"workflow": OWN, "bind.sampler": None})
    assert fake.requests[0]["prompt"]["3"]["inputs"]["sampler_name"] == "ddim"


def test_a_prompt_that_is_left_to_the_workflow_is_recorded_as_the_one_that_ran(comfyui):
    _, engine = comfyui()
    result = ask(engine, extra={"workflow": OWN, "bind.prompt": None})
    assert result.actual["prompt"] == "a bottle"
    assert "prompt" not in ask(engine, extra={"workflow": OWN}).actual, "it is the one that was asked for"


def test_places_can_be_given(comfyui):
    fake, engine = comfyui()
    ask(engine, extra={"workflow": OWN, "bind.prompt": "7.text", "bind.negative_prompt": "6.text"})
    graph = fake.requests[0]["prompt"]
    assert (graph["6"]["inputs"]["text"], graph["7"]["inputs"]["text"]) == ("blurry", PROMPT)
    with pytest.raises(ConfigError, match="no node '66'"):
        ask(engine, extra={"workflow": OWN, "bind.prompt": "66.text"})
    with pytest.raises(EngineError, match=r"the workflow /not/there.json cannot be read: No such file"):
        ask(engine, extra={"workflow": "/not/there.json"})


def test_loras_and_embeddings_of_the_prompt_become_what_comfyui_has_for_them(comfyui):
    fake, engine = comfyui()
    result = ask(engine, prompt="a pier <lora:more_details:0.6>, (<embedding:goodhands>:0.8)")
    graph = fake.requests[0]["prompt"]
    lora = graph["stablenew-lora-0"]["inputs"]
    assert (lora["lora_name"], lora["strength_model"]) == ("detail/more_details.safetensors", 0.6)
    assert graph["positive"]["inputs"]["text"] == "a pier , (embedding:goodhands:0.8)"
    assert result.actual["loras"] == [{"name": "more_details", "weight": 0.6}]
    with pytest.raises(EngineError, match=r"no LoRA 'other'; it has detail/more_details"):
        ask(engine, prompt="<lora:other:1>")


def test_a_vae_of_its_own_and_a_second_pass(comfyui):
    fake, engine = comfyui()
    result = ask(engine, vae="vae-ft-mse", enable_hr=True, hr_scale=2.0, hr_steps=3, hr_denoising_strength=0.5)
    graph = fake.requests[0]["prompt"]
    assert graph["decode"]["inputs"]["vae"] == ["vae", 0]
    assert graph["hires"]["inputs"]["sampler_name"] == "euler_ancestral"
    assert (graph["hires"]["inputs"]["steps"], graph["hires"]["inputs"]["denoise"]) == (3, 0.5)
    assert (result.images[0].width, result.actual["vae"]) == (128, "vae-ft-mse")
    with pytest.raises(EngineError, match="no refiner; give one of your own"):
        ask(engine, refiner_checkpoint="refiner")


@pytest.mark.parametrize("upscaler", ["Lanczos", "RealESRGAN_x4plus", "None"])
@pytest.mark.parametrize("mode", ["single", "img2img"])
def test_upscaling_ends_at_the_size_that_was_asked_for(comfyui, upscaler, mode):
    _, engine = comfyui()
    first = ask(engine).images
    (image,) = ask(engine, "upscale", inputs=first, mode=mode, factor=1.5, upscaler=upscaler).images
    assert (image.width, image.height, image.parent) == (96, 72, 0)
    with pytest.raises(EngineError, match="no upscaler '9x'; it has RealESRGAN_x4plus.pth; Lanczos needs no model"):
        ask(engine, "upscale", inputs=first, upscaler="9x")


def test_an_image_made_before_is_given_again_and_marked(comfyui):
    _, engine = comfyui()
    first, second = ask(engine), ask(engine)
    assert [one.data for one in first.images] == [one.data for one in second.images]
    assert "cached" not in first.actual
    assert second.actual["cached"] is True


def test_what_a_cached_node_reports_again_is_no_output_of_the_next_prompt(comfyui):
    """A second branch that no setting reaches: its node is cached, and the server names its old file each time."""
    fake, engine = comfyui()
    branch = {
        "20": {"class_type": "EmptyLatentImage", "inputs": {"width": 32, "height": 32, "batch_size": 1}},
        "21": {"class_type": "VAEDecode", "inputs": {"samples": ["20", 0], "vae": ["4", 2]}},
        "22": {"class_type": "SaveImage", "inputs": {"filename_prefix": "again", "images": ["21", 0]}},
    }
    one = {**OWN["5"], "inputs": {**OWN["5"]["inputs"], "batch_size": 1}}
    images = ask(engine, batch_size=3, extra={"workflow": {**OWN, "5": one, **branch}}).images
    assert [(image.seed, image.width) for image in images] == [(11, 64), (11, 32), (12, 64), (13, 64)]
    assert fake.history[next(reversed(fake.history))]["outputs"].keys() >= {"9", "22"}


@pytest.mark.parametrize("quirk", [(), ("no_websocket",), ("drops_websocket",)])
def test_progress_grows_with_or_without_a_websocket(comfyui, quirk):
    _, engine = comfyui(*quirk, seconds_per_step=0.03)
    seen = []
    result = ask(engine, steps=8, batch_size=2, monitor=StageMonitor(on_progress=seen.append))
    assert len(result.images) == 2
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    if not quirk:
        assert len(set(seen)) > 16, "every step"


def test_previews_come_where_somebody_looks(comfyui):
    _, engine = comfyui("previews", seconds_per_step=0.02)
    previews = []
    monitor = StageMonitor(on_progress=lambda _, preview=None: previews.append(preview), wants_previews=True)
    ask(engine, monitor=monitor)
    shown = [one for one in previews if one is not None]
    assert (shown[0].width, shown[0].height) == (16, 12)


def test_a_wish_to_stop_interrupts_our_prompt_and_nobody_elses(comfyui):
    fake, engine = comfyui(seconds_per_step=2)
    fake.pending.append([99, "theirs", {"9": OWN["9"] | {"inputs": {}}}, {"client_id": "x"}, []])
    fake.pending.clear()
    token = CancelToken()
    threading.Timer(0.4, token.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ask(engine, batch_size=20, steps=20, monitor=StageMonitor(token))
    assert time.monotonic() - started < 20 * 2 / 2, "it waited for all steps"
    wait_for(lambda: not fake.pending and fake.running is None)
    assert len(fake.requests) == 2, "one ran, one waited"
    fake.seconds_per_step = 0.01
    assert ask(engine).images


def test_anothers_prompt_is_left_alone(comfyui):
    fake, engine = comfyui(seconds_per_step=0.05)
    other = ComfyUIEngine(fake.url, poll_seconds=0.05)
    made = []
    thread = threading.Thread(target=lambda: made.extend(ask(other, seed=77, steps=20).images))
    thread.start()
    wait_for(lambda: fake.running is not None)
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    with pytest.raises(Cancelled):
        ask(engine, monitor=StageMonitor(token))
    thread.join()
    assert [image.seed for image in made] == [77]


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("quirks", "settings", "message"),
    [
        (["html"], {}, "instead of JSON; is this the address of a ComfyUI"),
        (["out_of_memory"], {}, "ran out of memory; try a smaller size, or start it with --lowvram"),
        (["truncated"], {}, "cannot be decoded"),
        (["forgets"], {}, "does not know the prompt any more; was it started again"),
        (["fails_1"], {}, r"node sampler \(KSampler\) failed: ValueError: mat1 and mat2"),
        ([], {"sampler": "Eular"}, "knows no sampler 'Eular'; it has euler, euler_ancestral"),
        (["new_lists"], {"model": "v9"}, "knows no checkpoint 'v9'; it has dreamshaper_8.safetensors, sdxl/"),
        ([], {"extra": {"3.cfg": 5}}, "no node '3'"),
    ],
)
def test_a_failure_says_what_to_do(comfyui, quirks, settings, message):
    _, engine = comfyui(*quirks)
    with pytest.raises((EngineError, ConfigError), match=message):
        ask(engine, **settings)


def test_what_the_server_refuses_is_said_by_node(comfyui):
    _, engine = comfyui(nodes=NODES.keys() - IMPACT)
    first = ask(engine).images
    with pytest.raises(EngineError, match=r"node (FaceDetailer|UltralyticsDetectorProvider) does not exist"):
        ask(engine, "adetailer", inputs=first)
    with pytest.raises(EngineError, match=r"node 3 \(KSampler\): Value not in list: sampler_name: 'no' not in"):
        ask(engine, extra={"workflow": OWN, "3.sampler_name": "no"})


def test_a_server_that_hangs_is_given_up(comfyui):
    fake, engine = comfyui("hangs", stall_seconds=0.5)
    with pytest.raises(EngineError, match="made no progress for 0 s; it may hang"):
        ask(engine)
    wait_for(fake.interrupted.is_set)


def test_nobody_there_is_said_at_once():
    with pytest.raises(EngineError, match="nobody answers at http://127.0.0.1:1; start ComfyUI"):
        ask(ComfyUIEngine("http://127.0.0.1:1"))


def test_what_was_finished_is_kept_when_the_server_fails(comfyui, tmp_path):
    _, engine = comfyui("fails_3")
    result, _, record = record_run(engine, tmp_path, txt2img={**SETTINGS, "batch_size": 4})
    assert result.status == "failed"
    assert [output.seed for output in record.outputs] == [11, 12]
    assert "node sampler (KSampler) failed" in record.error.message


def test_it_says_what_is_there_and_what_will_not_work(comfyui):
    _, engine = comfyui()
    found = engine.check()
    assert found.version == "0.3.64"
    assert found.facts["devices"] == "cuda:0 NVIDIA"
    assert found.names["models"] == ["dreamshaper_8.safetensors", "sdxl/sd_xl_base_1.0.safetensors"]
    assert found.problems == []
    _, bare = comfyui("no_websocket", nodes=NODES.keys() - IMPACT)
    found = bare.check()
    assert found.facts["adetailer"].startswith("will not work: no node FaceDetailer"), "a fact: nobody has to use it"
    (socket,) = found.problems
    assert found.facts["adetailer"].endswith("adetailer.extra.workflow=FILE")
    assert "websocket does not answer" in socket


def test_it_is_opened_by_name_and_shows_what_a_workflow_is_bound_to(comfyui, tmp_path, capsys):
    fake, _ = comfyui()
    assert open_engine("comfyui", url=fake.url).info.version == "0.3.64"
    assert _run(["engines", "check", "--engine", "comfyui", "--url", fake.url]) == 0
    assert "ready" in capsys.readouterr().out
    (tmp_path / "mine.json").write_text(json.dumps(OWN))
    assert _run(["engines", "workflow", str(tmp_path / "mine.json")]) == 0
    assert "6.text" in capsys.readouterr().out
    assert _run(["--json", "engines", "workflow", str(tmp_path / "mine.json")]) == 0
    assert json.loads(capsys.readouterr().out)["bindings"]["prompt"] == {"places": ["6.text"], "value": "a bottle"}


def run_command(fake, tmp_path, *options, signal_after=None):
    """`stablenew run` as a process of its own; gives its exit code, and fails if it does not end by itself."""
    pack = tmp_path / "pack.txt"
    pack.write_text(PROMPT)
    command = [sys.executable, "-m", "stablenew", "--runs-dir", str(tmp_path / "runs"), "run", str(pack), "--record"]
    process = subprocess.Popen(
        [*command, "--engine", "comfyui", "--url", fake.url, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        if signal_after is not None:
            while not signal_after():
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, output.decode()


@pytest.mark.parametrize(
    ("quirks", "options", "code"),
    [
        ((), (), 0),
        ((), ("--set", "txt2img.model=nothere"), 1),
        ((), ("--set", "txt2img.sampler=nosuch"), 1),
        (("out_of_memory",), (), 1),
        (("no_websocket",), ("--set", "txt2img.model=nothere"), 1),
    ],
)
def test_the_process_ends_however_its_run_ends(comfyui, tmp_path, quirks, options, code):
    fake, _ = comfyui(*quirks)
    returncode, output = run_command(fake, tmp_path, *options)
    assert returncode == code, output


def test_the_process_ends_when_the_server_forgets_its_prompt(comfyui, tmp_path):
    fake, _ = comfyui("forgets")
    returncode, output = run_command(fake, tmp_path)
    assert returncode == 1, output


def test_ctrl_c_ends_the_process_too(comfyui, tmp_path):
    fake, _ = comfyui(seconds_per_step=0.2)
    returncode, output = run_command(fake, tmp_path, signal_after=lambda: fake.running)
    assert returncode == 130, output


def test_what_the_server_left_out_of_a_workflow_is_told_and_recorded(comfyui, tmp_path):
    _, engine = comfyui("drops_an_output")
    result, _, record = record_run(engine, tmp_path, txt2img={**SETTINGS, "model": "dreamshaper_8"})
    (notice,) = result.variants[0].notices
    assert notice == ("ComfyUI left a part of the workflow out: node 22 (SaveImage): Custom validation failed: image")
    assert record.stages[0].actual["notices"] == [notice]


def test_a_workflow_without_a_place_for_the_prompt_does_not_run(comfyui):
    fake, engine = comfyui()
    graph = dict(OWN)
    graph["6"] = {"class_type": "CLIPTextEncode", "inputs": {"text": ["60", 0], "clip": ["4", 1]}}
    graph["60"] = {"class_type": "SomethingElse", "inputs": {"a": "masterpiece"}}
    with pytest.raises(EngineError, match="no place for the prompt.*extra.bind.prompt=NODE.INPUT"):
        ask(engine, extra={"workflow": graph})
    assert not fake.requests, "it is refused before anything runs"


def test_prompts_are_marked_as_recorded_here(comfyui):
    fake, engine = comfyui()
    ask(engine)
    assert fake.requests[0]["extra_data"] == {"stablenew": {"is_recorded": True}}


def test_the_model_that_was_taken_unasked_is_told(comfyui, tmp_path):
    _, engine = comfyui()
    result, _, _ = record_run(engine, tmp_path, txt2img={"steps": 4, "width": 64, "height": 48})
    assert result.variants[0].notices == (
        "no model was asked for: ComfyUI's first one was used, dreamshaper_8.safetensors",
    )


def ending_in(kind, **inputs):
    graph = {key: value for key, value in OWN.items() if key != "10"}
    own = {"images": ["8", 0], **NODES[kind], **inputs}
    return {**graph, "9": {"class_type": kind, "inputs": own}}


@pytest.mark.parametrize(("kind", "media_type"), [("SaveWEBM", "video/webm"), ("SaveAnimatedWEBP", "image/webp")])
def test_videos_and_animations_are_taken_as_what_they_are(comfyui, tmp_path, kind, media_type):
    fake, engine = comfyui()
    result, run, record = record_run(engine, tmp_path, txt2img={**SETTINGS, "extra": {"workflow": ending_in(kind)}})
    assert result.status == "completed", result.error
    (output,) = record.outputs
    assert (output.media_type, output.width, output.height) == (media_type, 64, 48)
    assert (run.path / output.path).read_bytes() in fake.files.values()


def test_a_stage_does_not_start_from_a_video(comfyui):
    _, engine = comfyui()
    made = ask(engine, extra={"workflow": ending_in("SaveWEBM")}).images
    with pytest.raises(EngineError, match="img2img starts from an image, and the one before made video/webm"):
        ask(engine, "img2img", inputs=made)


def test_a_workflow_may_be_given_as_its_text(comfyui):
    fake, engine = comfyui()
    ask(engine, steps=3, extra={"workflow": json.dumps(ending_in("SaveImage"))})
    assert fake.requests[0]["prompt"]["3"]["inputs"]["steps"] == 3


def test_a_workflow_of_which_nothing_can_be_fetched_is_refused_before_it_runs(comfyui):
    fake, engine = comfyui()
    with pytest.raises(EngineError, match="ends in SaveImageWebsocket, which saves no image; add a SaveImage"):
        ask(engine, extra={"workflow": ending_in("SaveImageWebsocket")})
    assert not fake.requests


def test_several_places_for_a_prompt_are_refused_with_the_way_to_choose(comfyui):
    fake, engine = comfyui()
    joined = {
        **OWN,
        "60": {
            "class_type": "ConditioningCombine",
            "inputs": {"conditioning_1": ["6", 0], "conditioning_2": ["61", 0]},
        },
        "61": {"class_type": "CLIPTextEncode", "inputs": {"text": "a sky", "clip": ["4", 1]}},
        "3": {**OWN["3"], "inputs": {**OWN["3"]["inputs"], "positive": ["60", 0]}},
    }
    with pytest.raises(EngineError, match=r"several places for prompt: 6.text \('a bottle'.*bind.prompt=NODE.INPUT"):
        ask(engine, extra={"workflow": joined})
    assert not fake.requests
    with pytest.raises(EngineError, match="ConditioningCombine does not exist"):  # left as it is, and sent
        ask(engine, extra={"workflow": joined, "bind.prompt": None})
    assert fake.requests.pop()["prompt"]["6"]["inputs"]["text"] == "a bottle"
    with pytest.raises(EngineError, match="ConditioningCombine does not exist"):  # chosen, and sent
        ask(engine, extra={"workflow": joined, "bind.prompt": "61.text"})


def test_a_schedule_of_two_passes_gets_other_steps_as_a_whole(comfyui):
    fake, engine = comfyui()
    NODES["KSamplerAdvanced"] = {"noise_seed": 0}
    fake.nodes.add("KSamplerAdvanced")
    base = {**OWN["3"]["inputs"], "noise_seed": 1, "steps": 20, "start_at_step": 0, "end_at_step": 16}
    more = {**base, "latent_image": ["2", 0], "start_at_step": 16, "end_at_step": 10000}
    graph = {
        **OWN,
        "2": {"class_type": "KSamplerAdvanced", "inputs": base},
        "3": {"class_type": "KSampler", "inputs": more},
    }
    with contextlib.suppress(EngineError):
        ask(engine, steps=10, extra={"workflow": graph})
    sent = fake.requests[0]["prompt"]
    assert (sent["2"]["inputs"]["steps"], sent["2"]["inputs"]["end_at_step"]) == (10, 8)
    assert (sent["3"]["inputs"]["steps"], sent["3"]["inputs"]["start_at_step"]) == (10, 8)
    assert sent["3"]["inputs"]["end_at_step"] == 10000


def test_somebody_elses_interrupt_is_named_at_the_end(comfyui, tmp_path):
    fake, _ = comfyui(seconds_per_step=0.2)
    threading.Thread(target=lambda: (wait_for(lambda: fake.running, 60), fake.interrupted.set()), daemon=True).start()
    returncode, output = run_command(fake, tmp_path)
    assert returncode == 130, output
    assert "somebody interrupted the prompt in ComfyUI" in output.replace("\n", " ")


def test_a_server_that_is_starting_again_is_waited_for(tmp_path):
    first = FakeComfyUI()
    with serving(first) as address:
        engine = ComfyUIEngine(address, poll_seconds=0.05, restart_seconds=60)
        ask(engine)
    second = FakeComfyUI()
    with contextlib.ExitStack() as later:
        port = int(address.rpartition(":")[2])
        starting = threading.Timer(1.0, lambda: later.enter_context(serving(second, port)))
        starting.start()
        assert len(ask(engine, seed=12).images) == 1
        starting.join()
    assert len(second.requests) == 1


def test_waiting_for_a_server_can_be_stopped_and_ends_once_and_for_all():
    with serving(FakeComfyUI()) as address:
        engine = ComfyUIEngine(address, poll_seconds=0.02, restart_seconds=60)
        ask(engine)
        short = ComfyUIEngine(address, poll_seconds=0.02, restart_seconds=0.2)
        ask(short, seed=13)
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    with pytest.raises(Cancelled):
        ask(engine, monitor=StageMonitor(token))
    for _ in range(2):  # the first waits and gives up, the second does not wait
        with pytest.raises(EngineError, match="nobody answers"):
            ask(short)
