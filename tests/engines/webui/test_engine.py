"""The WebUI engine against a server that speaks as the real ones do, and misbehaves as they do."""

import base64
import contextlib
import io
import json
import socket
import struct
import threading
import time
from itertools import pairwise

import pytest
from PIL import Image

from stablenew import CancelToken, PipelineConfig, PipelineController, RunVerifier, StageRequest, open_engine
from stablenew.cli.main import _run
from stablenew.engines.engine import StageMonitor
from stablenew.engines.webui.engine import WebUIEngine
from stablenew.errors import Cancelled, ConfigError, EngineError
from stablenew.formats.digest import digest_bytes
from stablenew.pipeline.prompt_pack import Prompt
from stablenew.pipeline.randomizer import SWEEP, Axis
from stablenew.pipeline.run_request import RunRequest, plan_again
from stablenew.pipeline.variant_plan import VariantPlan
from tests.engines.engine_contract import PROMPT, SERVER_STAGES, SETTINGS, EngineContract
from tests.engines.webui_server import FakeWebUI, serving


class TestContract(EngineContract):
    """What every engine promises."""

    @pytest.fixture(autouse=True)
    def _server(self):
        fake = FakeWebUI(seconds_per_image=0.01)
        with serving(fake) as self.url:
            yield

    def make_engine(self):
        return WebUIEngine(self.url, poll_seconds=0.02)


@pytest.fixture
def webui():
    """Start a server with some quirks; gives the server and an engine for it."""
    open_servers = []

    def start(*quirks, stall_seconds=900.0, **options):
        fake = FakeWebUI(quirks=quirks, **options)
        manager = serving(fake)
        url = manager.__enter__()
        open_servers.append(manager)
        if fake.auth:
            url = url.replace("//", f"//{fake.auth[0]}:{fake.auth[1]}@")
        fake.url = url
        return fake, WebUIEngine(url, poll_seconds=0.02, stall_seconds=stall_seconds)

    yield start
    for manager in open_servers:
        manager.__exit__(None, None, None)


def ask(engine, stage="txt2img", *, inputs=(), monitor=None, prompt=PROMPT, **settings):
    request = StageRequest(stage, {**SETTINGS, **settings}, prompt, "blurry", tuple(inputs))
    return engine.run_stage(request, monitor or StageMonitor())


def interrupt_when_it_works(fake):
    while fake.task is None:
        time.sleep(0.01)
    fake.interrupted.set()


def run_pipeline(engine, root, **config):
    controller = PipelineController(engine=engine, runs_dir=root)
    return controller.run(PipelineConfig(prompt=PROMPT, learning_enabled=True, **config))


def test_a_batch_through_all_stages_is_recorded_right(webui, tmp_path):
    fake, engine = webui("grid_first")
    result = run_pipeline(engine, tmp_path / "runs", **SERVER_STAGES)
    assert result.status == "completed"
    (run,) = controller_runs(tmp_path)
    (record,) = run.iter_records()
    assert record.requested.seed == 11
    assert (record.actual.model, record.actual.model_hash) == ("sd_xl_base_1.0", "31e35c80fc")
    assert (record.actual.sampler, record.actual.scheduler, record.actual.steps) == ("DPM++ 2M", "Karras", 6)
    assert record.actual.clip_skip == 2
    by_stage = {}
    for output in record.outputs:
        by_stage.setdefault(output.stage, []).append(output)
        data = (run.path / output.path).read_bytes()
        assert digest_bytes(data) == output.digest
    assert {stage: len(outputs) for stage, outputs in by_stage.items()} == dict.fromkeys(SERVER_STAGES, 4)
    for outputs in by_stage.values():
        assert [output.seed for output in outputs] == [11, 12, 13, 14]
    order = list(SERVER_STAGES)
    for earlier, later in pairwise(order):
        parents = [output.parents for output in by_stage[later]]
        assert parents == [(output.digest,) for output in by_stage[earlier]]
    assert [(one.width, one.height) for one in by_stage["upscale"]] == [(128, 96)] * 4
    assert RunVerifier(run, deep=True).verify().is_ok
    asked = [body.get("override_settings", {}).get("sd_model_checkpoint") for body in fake.requests[:9]]
    assert asked == ["sd_xl_base_1.0"] * 9, "later stages keep the checkpoint of the first"


def controller_runs(tmp_path):
    from stablenew import RunStore

    return RunStore(tmp_path / "runs").iter_runs()


def test_the_bytes_are_those_that_the_server_sent(webui):
    _, engine = webui()
    (image,) = ask(engine).images
    with Image.open(io.BytesIO(image.data)) as opened:
        assert opened.text["parameters"].startswith(PROMPT), "the server's own metadata is still in it"


def test_settings_reach_the_server_under_its_own_names(webui):
    fake, engine = webui()
    ask(
        engine, enable_hr=True, hr_scale=1.5, hr_steps=4, hr_denoising_strength=0.5, hr_upscaler="Latent",
        refiner_checkpoint="refiner", refiner_switch_at=0.7, vae="vae.pt", model="dreamshaper_8",
        extra={"override_settings": {"eta_noise_seed_delta": 31337}, "tiling": True},
    )  # fmt: skip
    (body,) = fake.requests
    expected = {
        "prompt": PROMPT, "negative_prompt": "blurry", "sampler_name": "Euler a", "scheduler": "Normal",
        "enable_hr": True, "hr_scale": 1.5, "hr_second_pass_steps": 4, "denoising_strength": 0.5,
        "refiner_checkpoint": "refiner", "refiner_switch_at": 0.7, "tiling": True, "save_images": False,
    }  # fmt: skip
    assert {name: body[name] for name in expected} == expected
    assert body["override_settings"] == {
        "sd_model_checkpoint": "dreamshaper_8", "sd_vae": "vae.pt", "eta_noise_seed_delta": 31337,
    }  # fmt: skip


@pytest.mark.parametrize("spelling", ["vae-ft-mse-840000", "sd/vae-ft-mse-840000.safetensors", "VAE-ft-mse-840000.pt"])
def test_a_vae_reaches_the_server_as_it_lists_it(webui, spelling):
    fake, engine = webui()
    ask(engine, vae=spelling)
    assert fake.requests[-1]["override_settings"]["sd_vae"] == "vae-ft-mse-840000.safetensors"


def test_sd_next_details_with_its_own_detailer(webui):
    fake, engine = webui(kin="sdnext", scripts=())
    first = ask(engine, width=64, height=48).images
    result = ask(engine, "adetailer", inputs=first, model="face_yolov8n.pt", confidence=0.3, denoise=0.4)
    body = fake.requests[-1]
    asked = {name: value for name, value in body.items() if name.startswith("detailer_")}
    assert asked["detailer_models"] == ["face-yolo8n"], "by the server's name for it"
    assert (asked["detailer_conf"], asked["detailer_strength"], asked["detailer_prompt"]) == (0.3, 0.4, PROMPT)
    assert base64.b64decode(body["image"]) == first[0].data
    assert (result.images[0].width, result.images[0].seed, result.images[0].parent) == (64, first[0].seed, 0)
    with pytest.raises(EngineError, match="no detailer 'nosuch.pt'; it has yolo11m, face-yolo8n"):
        ask(engine, "adetailer", inputs=first, model="nosuch.pt")
    assert engine.check().facts["adetailer"] == "the server's own detailer"


def test_sd_next_names_folders_in_its_list_and_not_in_its_images(webui):
    _, engine = webui(kin="sdnext")
    assert engine.check().names["models"] == ["Diffusers/dreamshaper_8", "Diffusers/sd_xl_base_1.0"]
    assert ask(engine, model="Diffusers/sd_xl_base_1.0").actual["model"] == "sd_xl_base_1.0"


def test_adetailer_paints_again_and_nothing_else(webui):
    fake, engine = webui()
    first = ask(engine).images
    ask(engine, "adetailer", inputs=first, model="face_yolov8n.pt", confidence=0.3, denoise=0.4, steps=28)
    body = fake.requests[-1]
    enabled, skips_img2img, unit = body["alwayson_scripts"]["ADetailer"]["args"]
    assert (enabled, skips_img2img, body["denoising_strength"]) == (True, True, 0.0)
    assert unit == {
        "ad_model": "face_yolov8n.pt", "ad_confidence": 0.3, "ad_denoising_strength": 0.4, "ad_steps": 28,
        "ad_use_steps": True, "ad_cfg_scale": 7.0, "ad_use_cfg_scale": True, "ad_sampler": "Euler a",
        "ad_use_sampler": True, "ad_prompt": "", "ad_negative_prompt": "",
    }  # fmt: skip
    assert base64.b64decode(body["init_images"][0]) == first[0].data


def test_upscaling_can_go_through_img2img(webui):
    fake, engine = webui()
    first = ask(engine).images
    (image,) = ask(engine, "upscale", inputs=first, mode="img2img", factor=2.0, denoising_strength=0.35).images
    assert (image.width, image.height) == (128, 96)
    assert fake.requests[-1]["denoising_strength"] == 0.35


def test_grids_and_controlnet_maps_are_no_outputs(webui):
    _, engine = webui("grid_first", "controlnet_maps")
    images = ask(engine, batch_size=2, n_iter=2).images
    assert [image.seed for image in images] == [11, 12, 13, 14]
    assert {(image.width, image.height) for image in images} == {(64, 48)}


def test_what_ran_is_recorded_where_the_server_does_otherwise(webui):
    _, engine = webui("keeps_model", "ignores_steps")
    result = ask(engine, model="sd_xl_base_1.0", steps=7)
    assert (result.actual["model"], result.actual["steps"]) == ("dreamshaper_8", 20)


def test_substitutes_for_a_sampler_and_a_schedule_are_recorded(webui):
    _, engine = webui()
    result = ask(engine, sampler="Nosuch", scheduler="Nosuch", vae="nosuch.pt")
    assert {name: result.actual[name] for name in ("sampler", "scheduler", "vae")} == {
        "sampler": "DPM++ 2M", "scheduler": "Automatic", "vae": "None",
    }  # fmt: skip


@pytest.mark.parametrize("kin", ["a1111", "forge", "sdnext"])
def test_a_lora_that_the_server_has_not_is_said_and_recorded(webui, kin):
    _, engine = webui(kin=kin)
    result = ask(engine, prompt="a quiet harbour <lora:film_grain:0.5> <lora:nosuchlora:0.7>")
    assert result.actual["missing_loras"] == ["nosuchlora"]
    assert result.notices == ("the server has no LoRA 'nosuchlora': the images were made without it",)
    assert [file.name for file in engine.find_dependencies().files if file.kind == "lora"] == ["film_grain"]


def test_loras_that_are_there_are_nothing_to_say(webui):
    _, engine = webui()
    result = ask(engine, prompt="a quiet harbour <lora:film_grain:0.5>")
    assert (result.notices, "missing_loras" in result.actual) == ((), False)


def test_the_list_of_loras_is_read_once_for_all_images_and_again_for_one_that_is_not_in_it(webui):
    fake, engine = webui(kin="sdnext")
    for _ in range(3):
        ask(engine, prompt="a quiet harbour <lora:film_grain:0.5>")
    assert fake.lora_lists == 1
    assert ask(engine, prompt="<lora:late:1>").actual["missing_loras"] == ["late"]
    fake.loras.append("late")
    assert "missing_loras" not in ask(engine, prompt="<lora:late:1>").actual


def test_a_server_that_says_nothing_of_its_model_says_it_in_the_infotext(webui):
    fake, engine = webui("keeps_model", kin="sdnext")
    result = ask(engine, model="sd_xl_base_1.0", clip_skip=2)
    assert (result.actual["model"], result.actual["clip_skip"]) == ("dreamshaper_8", 2)
    assert "denoising_strength" not in result.actual, "it was not used"
    assert fake.requests[-1]["clip_skip"] == 2
    assert "CLIP_stop_at_last_layers" not in fake.requests[-1]["override_settings"]
    assert result.images[0].media_type == "image/jpeg"


def test_a_setting_of_the_table_needs_no_line_in_the_engine(webui):
    fake, engine = webui()
    ask(engine)
    assert "eta" not in fake.requests[-1]
    ask(engine, eta=0.5)
    assert fake.requests[-1]["eta"] == 0.5


@pytest.mark.parametrize("saved", [(), ("CLIP_stop_at_last_layers",)])
@pytest.mark.parametrize("quirk", [(), ("fails_1",), ("truncated",)])
def test_a_call_leaves_the_servers_options_as_they_were(webui, saved, quirk):
    fake, engine = webui(*quirk)
    fake.config |= set(saved)
    before = engine._client.fetch("/sdapi/v1/options")
    with contextlib.suppress(EngineError):
        ask(engine, clip_skip=2, vae="other.safetensors", model="sd_xl_base_1.0")
    assert fake.requests, "the call was made"
    assert engine._client.fetch("/sdapi/v1/options") == before, "byte for byte"


def test_hires_fix_works_on_every_kin(webui):
    for kin in ("a1111", "forge", "sdnext"):
        fake, engine = webui(kin=kin)
        (image,) = ask(engine, enable_hr=True, hr_scale=1.5, hr_upscaler="Latent").images
        assert (image.width, image.height) == (96, 72)
        told = {name: fake.requests[-1].get(name) for name in ("hr_resize_mode", "hr_additional_modules")}
        assert told == {
            "hr_resize_mode": 1 if kin == "sdnext" else None,
            "hr_additional_modules": ["Use same choices"] if kin == "forge" else None,
        }


def test_a_schedule_goes_to_sd_next_by_its_own_name_and_is_read_back(webui):
    fake, engine = webui(kin="sdnext")
    assert ask(engine, scheduler="Karras").actual["scheduler"] == "Karras"
    assert fake.requests[-1]["schedulers_sigma"] == "karras"
    assert "scheduler" not in fake.requests[-1]
    ask(engine, scheduler="Automatic")
    assert "schedulers_sigma" not in fake.requests[-1]
    with pytest.raises(EngineError, match="knows no noise schedule 'Nosuch'; it has Karras, Exponential, Beta, Normal"):
        ask(engine, scheduler="Nosuch")


def test_forge_is_given_a_vae_by_its_module(webui):
    fake, engine = webui(kin="forge")
    ask(engine, vae="ae")
    assert fake.requests[-1]["override_settings"] == {"forge_additional_modules": ["/models/VAE/ae.safetensors"]}
    with pytest.raises(EngineError, match="knows no VAE 'other'; it has ae.safetensors"):
        ask(engine, vae="other")


@pytest.mark.parametrize(("kin", "version"), [("a1111", "v1.10.1"), ("forge", "v1.10.1"), ("sdnext", "2026-07-23")])
def test_the_version_is_known_before_the_first_image(webui, kin, version):
    _, engine = webui(kin=kin)
    assert engine.info.version == version


@pytest.mark.parametrize("count", [{"n_iter": 2}, {"n_iter": 1}])
@pytest.mark.parametrize("kin", ["a1111", "sdnext"])
def test_a_generation_that_somebody_stopped_is_not_finished(webui, tmp_path, count, kin):
    fake, engine = webui(seconds_per_image=1.0, kin=kin)
    threading.Thread(target=interrupt_when_it_works, args=(fake,)).start()
    result = run_pipeline(engine, tmp_path / "runs", txt2img={**SETTINGS, **count})
    assert result.status == "cancelled"
    (run,) = controller_runs(tmp_path)
    (record,) = run.iter_records()
    assert record.status == "cancelled"
    assert "somebody stopped the generation" in record.error.message
    assert [output.role for output in record.outputs] == ["intermediate"], "the unfinished image is kept as such"


def test_stopping_a_job_that_waits_leaves_the_one_that_runs(webui):
    fake, first = webui(seconds_per_image=1.5)
    results = []
    running = threading.Thread(target=lambda: results.append(ask(first)))
    running.start()
    while fake.task is None:
        time.sleep(0.01)
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    with pytest.raises(Cancelled):
        ask(WebUIEngine(fake.url, poll_seconds=0.02), batch_size=4, monitor=StageMonitor(token))
    running.join()
    assert results[0].failure is None, "nobody interrupted it"
    assert len(fake.requests) == 2


def test_a_server_that_is_asked_too_often_is_waited_for(webui):
    _, engine = webui("too_many_requests")
    assert len(ask(engine).images) == 1


def test_forge_words_its_errors_in_the_message(webui):
    _, engine = webui("out_of_memory", kin="forge")
    with pytest.raises(EngineError, match="ran out of memory; try a smaller size"):
        ask(engine)


@pytest.mark.parametrize("quirk", [(), ("no_task_progress",)])
def test_progress_is_that_of_the_task_or_else_of_the_server(webui, quirk):
    _, engine = webui(*quirk, seconds_per_image=0.2)
    seen = []
    ask(engine, monitor=StageMonitor(on_progress=seen.append))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_previews_are_asked_for_when_somebody_looks(webui):
    _, engine = webui(seconds_per_image=0.2)
    previews = []
    monitor = StageMonitor(on_progress=lambda _, preview=None: previews.append(preview), wants_previews=True)
    ask(engine, monitor=monitor)
    shown = [one for one in previews if one is not None]
    assert shown
    assert (shown[0].width, shown[0].height) == (16, 12)


def test_a_wish_to_stop_interrupts_the_server(webui):
    fake, engine = webui(seconds_per_image=3)
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ask(engine, batch_size=20, monitor=StageMonitor(token))
    assert time.monotonic() - started < 20 * 3 / 2, "it waited for all images"
    assert fake.interrupted.is_set()
    fake.seconds_per_image = 0.01
    assert ask(engine).images, "the next call does not meet the one before"


@pytest.mark.parametrize(
    ("quirks", "settings", "message"),
    [
        (["no_api"], {}, "start the WebUI with --api"),
        (["html"], {}, "text/html.*is this the address of a WebUI"),
        (["out_of_memory"], {}, "ran out of memory; try a smaller size"),
        (["truncated"], {}, "cannot be decoded"),
        (["sdnext"], {"sampler": "Eular"}, "knows no sampler 'Eular'; it has Euler a, Euler"),
        ([], {"enable_hr": True, "hr_upscaler": "9x"}, "knows no upscaler '9x'; it has None, Lanczos"),
    ],
)
def test_a_failure_says_what_to_do(webui, quirks, settings, message):
    _, engine = webui(*quirks, kin="sdnext" if "sdnext" in quirks else "a1111")
    with pytest.raises(EngineError, match=message):
        ask(engine, **settings)


def test_a_missing_extension_or_upscaler_is_named(webui):
    _, engine = webui(scripts=())
    first = ask(engine).images
    with pytest.raises(EngineError, match="install the extension"):
        ask(engine, "adetailer", inputs=first)
    with pytest.raises(EngineError, match=r"no upscaler '9x'; it has None, Lanczos, R-ESRGAN 4x\+"):
        ask(engine, "upscale", inputs=first, upscaler="9x")


def test_a_server_that_hangs_is_given_up(webui):
    fake, engine = webui("hangs", stall_seconds=0.3)
    with pytest.raises(EngineError, match="made no progress for 0 s; it may hang"):
        ask(engine)
    assert fake.interrupted.is_set()


def test_nobody_there_is_said_at_once():
    with pytest.raises(EngineError, match="nobody answers at http://127.0.0.1:1; start the WebUI with --api"):
        ask(WebUIEngine("http://127.0.0.1:1"))


def test_a_server_that_dies_in_the_middle_is_named():
    """A listener that takes the request and breaks off, as a crashed process does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def break_off():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(1)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()

        threading.Thread(target=break_off, daemon=True).start()
        engine = WebUIEngine(f"http://127.0.0.1:{listener.getsockname()[1]}", poll_seconds=0.02)
        with pytest.raises(EngineError, match="broke off the connection.*look at its window"):
            ask(engine)


def test_a_name_and_a_password_go_with_the_address(webui):
    fake, engine = webui(auth=("anna", "s3cret"))
    assert ask(engine).images
    with pytest.raises(EngineError, match="NAME:PASSWORD@HOST"):
        ask(WebUIEngine(fake.url.replace("anna:s3cret@", "")))
    with pytest.raises(EngineError, match="refuses the name 'anna' or its password"):
        ask(WebUIEngine(fake.url.replace("s3cret", "wrong")))
    assert "s3cret" not in repr(engine.info)


def test_what_was_finished_is_kept_when_the_server_fails(webui, tmp_path):
    _, engine = webui("fails_2")
    controller = PipelineController(engine=engine, runs_dir=tmp_path / "runs")
    plan = VariantPlan((Prompt("a lake"), Prompt("a pier"), Prompt("a mill")))
    result = controller.run(PipelineConfig(learning_enabled=True, txt2img=SETTINGS), plan=plan)
    assert result.status == "partial"
    (run,) = controller_runs(tmp_path)
    records = list(run.iter_records())
    assert [record.status for record in records] == ["completed", "failed", "completed"]
    assert "IndexError: index 20 is out of bounds" in records[1].error.message
    assert [len(record.outputs) for record in records] == [1, 0, 1]


def test_what_a_stage_had_finished_is_kept_when_the_server_fails_in_its_middle(webui, tmp_path):
    _, engine = webui("fails_3")
    result = run_pipeline(engine, tmp_path / "runs", txt2img={**SETTINGS, "batch_size": 3}, img2img={"steps": 5})
    assert result.status == "failed"
    (run,) = controller_runs(tmp_path)
    (record,) = run.iter_records()
    assert [(output.stage, output.role, output.seed) for output in record.outputs] == [
        *(("txt2img", "intermediate", seed) for seed in (11, 12, 13)), ("img2img", "intermediate", 11),
    ]  # fmt: skip
    assert [(event.status, event.output_count) for event in record.stages] == [("completed", 3), ("failed", 1)]
    assert "index 20 is out of bounds" in record.error.message


def test_a_mask_may_be_a_file(webui, tmp_path):
    fake, engine = webui()
    first = ask(engine).images
    (tmp_path / "mask.png").write_bytes(first[0].data)
    result = ask(engine, "img2img", inputs=first, extra={"mask": str(tmp_path / "mask.png"), "mask_blur": 8})
    assert base64.b64decode(fake.requests[-1]["mask"]) == first[0].data
    assert fake.requests[-1]["mask_blur"] == 8
    assert result.actual["mask_digest"] == digest_bytes(first[0].data)
    with pytest.raises(EngineError, match=r"the mask /not/there.png cannot be read: No such file"):
        ask(engine, "img2img", inputs=first, extra={"mask": "/not/there.png"})


def test_it_says_what_is_there_and_what_will_not_work(webui):
    _, engine = webui()
    found = engine.check()
    assert found.facts == {
        "program": "AUTOMATIC1111", "checkpoint": "dreamshaper_8.safetensors [879db523c3]", "adetailer": "installed",
    }  # fmt: skip
    assert found.names["models"] == ["dreamshaper_8", "sd_xl_base_1.0"]
    assert found.names["samplers"][:2] == ["Euler a", "Euler"]
    assert found.problems == []
    _, bare = webui(scripts=())
    assert bare.check().problems == [], "nobody needs to use that stage"
    assert "the stage adetailer will not work" in bare.check().facts["adetailer"]
    _, closed = webui("no_api")
    with pytest.raises(EngineError, match="--api"):
        closed.check()


def test_engines_are_listed_and_checked_on_the_command_line(webui, capsys):
    fake, _ = webui(scripts=())
    assert _run(["engines"]) == 0
    assert "sketch" in (listed := capsys.readouterr().out)
    assert "webui" in listed
    assert _run(["engines", "check", "--engine", "webui", "--url", fake.url]) == 0
    assert "the stage adetailer will not work" in " ".join(capsys.readouterr().out.split())
    assert _run(["--json", "engines", "check"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "sketch"
    assert _run(["engines", "check", "--engine", "webui", "--url", "http://127.0.0.1:1"]) == 1
    assert "start the WebUI with --api" in capsys.readouterr().err
    assert _run(["engines", "check", "--engine", "comfyuii"]) == 2


def test_it_is_opened_by_name_and_address(webui):
    fake, _ = webui()
    engine = open_engine("webui", url=fake.url)
    assert engine.info.version == "v1.10.1"
    with pytest.raises(ConfigError, match="expected an address"):
        WebUIEngine("ftp://somewhere")


def test_only_what_somebody_asked_for_is_sent(webui, tmp_path):
    fake, engine = webui()
    run_pipeline(engine, tmp_path / "runs", txt2img={"steps": 7}, img2img={})
    first, second = fake.requests
    ours = {"sampler_name", "scheduler", "cfg_scale", "width", "height", "subseed", "override_settings"}
    assert not ours & first.keys()
    assert first["steps"] == 7
    assert not {"sampler_name", "scheduler", "cfg_scale", "steps"} & second.keys()
    (run,) = controller_runs(tmp_path)
    (record,) = run.iter_records()
    assert (record.requested.steps, record.requested.sampler, record.requested.clip_skip) == (7, None, None)
    assert (record.actual.sampler, record.actual.scheduler, record.actual.cfg_scale) == ("Euler", "Automatic", 7.0)


def test_a_sweep_asks_for_what_it_varies_and_nothing_else(webui, tmp_path):
    fake, engine = webui()
    axes = (Axis(SWEEP, "txt2img.cfg_scale", (5.0, 7.0)),)
    controller = PipelineController(engine=engine, runs_dir=tmp_path / "runs")
    controller.run(PipelineConfig(learning_enabled=True), plan=VariantPlan((Prompt("a lake"),), sweeps=axes))
    assert [body.get("cfg_scale") for body in fake.requests] == [5.0, 7.0]
    assert all("steps" not in body for body in fake.requests)


def test_a_run_again_asks_for_no_more_than_the_first_did(webui, tmp_path):
    fake, engine = webui()
    run_pipeline(engine, tmp_path / "runs", txt2img={"steps": 20, "seed": 5})
    (run,) = controller_runs(tmp_path)
    config, plan, _ = plan_again(run, RunRequest())
    PipelineController(engine=engine, runs_dir=tmp_path / "again").run(config, plan=plan)
    first, second = ({key: body[key] for key in body if key != "force_task_id"} for body in fake.requests)
    assert first == second


def test_what_ran_otherwise_is_told_at_the_end_of_the_run(webui, tmp_path, capsys):
    fake, _ = webui("keeps_model")
    pack = tmp_path / "pack.txt"
    pack.write_text("a lake\n\na pier")
    options = ["--set", "txt2img.model=sd_xl_base_1.0", "--set", "txt2img.sampler=Nosuch"]
    run = ["--runs-dir", str(tmp_path / "runs"), "run", str(pack), "--engine", "webui", "--url", fake.url]
    assert _run([*run, "--record", *options]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "Model dreamshaper_8 ran instead of sd_xl_base_1.0 (2 variants)" in told
    assert "Sampler DPM++ 2M ran instead of Nosuch (2 variants)" in told
