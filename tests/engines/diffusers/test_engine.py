"""The diffusers engine, run for real: a tiny pipeline with random weights, on the CPU."""

import io
from itertools import pairwise

import pytest
from PIL import Image, ImageChops

from stablenew import CancelToken, PipelineConfig, PipelineController, RunStore, RunVerifier, StageRequest, open_engine
from stablenew.engines.diffusers.engine import DiffusersEngine
from stablenew.engines.engine import StageMonitor
from stablenew.errors import Cancelled, EngineError
from stablenew.formats.digest import digest_bytes
from tests.engines.engine_contract import PROMPT, SETTINGS, EngineContract

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the libraries, among themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
FACE = (8, 8, 40, 40)
STAGES = {
    "txt2img": {
        **SETTINGS, "sampler": "DPM++ 2M", "scheduler": "Karras", "steps": 3, "batch_size": 2, "n_iter": 2,
        "clip_skip": 2,
    },
    "img2img": {"steps": 4, "denoising_strength": 0.5},
    "adetailer": {"steps": 4, "denoise": 0.5},
    "upscale": {"factor": 2.0, "mode": "img2img", "steps": 4, "denoising_strength": 0.5},
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny_diffusion, tmp_path_factory):
    """A folder as `save_pretrained` leaves it."""
    folder = tmp_path_factory.mktemp("tiny")
    tiny_diffusion.make_pipeline(folder / "parts").save_pretrained(folder / "tiny-diffusion")
    return folder / "tiny-diffusion"


def find_face(image, confidence):
    return [FACE]


class TestContract(EngineContract):
    """What every engine promises."""

    @pytest.fixture(autouse=True)
    def _model(self, model):
        self.engine = DiffusersEngine(str(model), device="cpu", detector=find_face)

    def make_engine(self):
        return self.engine


@pytest.fixture
def engine(model):
    return DiffusersEngine(str(model), device="cpu", detector=find_face)


def ask(engine, stage="txt2img", *, inputs=(), monitor=None, prompt=PROMPT, **settings):
    request = StageRequest(stage, {**SETTINGS, **settings}, prompt, "blurry", tuple(inputs))
    return engine.run_stage(request, monitor or StageMonitor())


def test_a_batch_through_all_stages_is_recorded_right(model, engine, tmp_path):
    controller = PipelineController(engine=engine, runs_dir=tmp_path / "runs")
    result = controller.run(PipelineConfig(prompt=PROMPT, learning_enabled=True, **STAGES))
    assert result.status == "completed", result.error
    (run,) = RunStore(tmp_path / "runs").iter_runs()
    (record,) = run.iter_records()
    actual = record.actual.to_dict()
    assert (actual["model"], actual["pipeline"]) == ("tiny-diffusion", "StableDiffusionPipeline")
    assert (actual["sampler"], actual["scheduler"], actual["steps"]) == ("DPM++ 2M", "Karras", 3)
    assert (actual["seed"], actual["cfg_scale"], actual["clip_skip"]) == (11, 7.0, 2)
    assert (actual["dtype"], actual["device"], actual["generator_device"]) == ("float32", "cpu", "cpu")
    assert actual["scheduler_config"]["class"] == "DPMSolverMultistepScheduler"
    assert actual["scheduler_config"]["use_karras_sigmas"] is True
    assert {"torch", "diffusers", "transformers"} <= actual["versions"].keys()
    by_stage = {}
    for output in record.outputs:
        by_stage.setdefault(output.stage, []).append(output)
        data = (run.path / output.path).read_bytes()
        assert digest_bytes(data) == output.digest
        with Image.open(io.BytesIO(data)) as opened:
            assert digest_bytes(opened.convert("RGB").tobytes()) == output.pixel_digest
    assert {stage: len(outputs) for stage, outputs in by_stage.items()} == dict.fromkeys(STAGES, 4)
    for outputs in by_stage.values():
        assert [output.seed for output in outputs] == [11, 12, 13, 14]
        assert len({output.digest for output in outputs}) == 4
    for earlier, later in pairwise(STAGES):
        assert [output.parents for output in by_stage[later]] == [(output.digest,) for output in by_stage[earlier]]
    assert [(one.width, one.height) for one in by_stage["upscale"]] == [(128, 96)] * 4
    events = {event.name: event.actual for event in record.stages}
    assert events["adetailer"]["regions"] == [list(FACE)]
    assert (events["upscale"]["upscaler"], events["upscale"]["denoising_strength"]) == ("Lanczos", 0.5)
    assert RunVerifier(run, deep=True).verify().is_ok


@pytest.mark.parametrize(
    ("make", "name", "sampler"),
    [
        ("make_sdxl", "StableDiffusionXL", "Euler a"),
        ("make_flux", "Flux", "FlowMatchEulerDiscreteScheduler"),  # flow matching goes with no other sampler
    ],
)
def test_other_kinds_of_models_run_as_well(make, name, sampler, tiny_diffusion, tmp_path):
    getattr(tiny_diffusion, make)(tmp_path / "parts").save_pretrained(tmp_path / "model")
    engine = DiffusersEngine(str(tmp_path / "model"), device="cpu")
    first = ask(engine, batch_size=2, clip_skip=2)
    second = ask(engine, "img2img", inputs=first.images, denoising_strength=0.5)
    assert [result.actual["pipeline"] for result in (first, second)] == [f"{name}Pipeline", f"{name}Img2ImgPipeline"]
    assert first.actual["sampler"] == second.actual["sampler"] == sampler
    assert [image.seed for image in second.images] == [11, 12]
    assert len({image.data for image in (*first.images, *second.images)}) == 4


def test_an_image_of_a_batch_can_be_made_again_alone(engine):
    batch = ask(engine, batch_size=3).images
    (alone,) = ask(engine, seed=13).images
    assert alone.data == batch[2].data


def test_seeds_have_64_bits(engine):
    images = ask(engine, seed=2**64 - 1, batch_size=2).images
    assert [image.seed for image in images] == [2**64 - 1, 0]
    assert ask(engine, seed=0).images[0].data == images[1].data


@pytest.mark.parametrize("sampler", ["Euler a", "DDIM", "UniPC", "DPM2", "Heun", "PNDMScheduler"])
def test_samplers_are_those_of_the_webuis_and_change_the_picture(engine, sampler):
    result = ask(engine, sampler=sampler)
    assert result.actual["sampler"] == {"PNDMScheduler": "PLMS"}.get(sampler, sampler)
    assert result.images[0].data != ask(engine, sampler="Euler").images[0].data


def test_a_sampler_may_be_named_with_its_noise_schedule(engine):
    together = ask(engine, sampler="DPM++ 2M Karras", scheduler=None)
    assert (together.actual["sampler"], together.actual["scheduler"]) == ("DPM++ 2M", "Karras")
    assert together.images[0].data == ask(engine, sampler="DPM++ 2M", scheduler="Karras").images[0].data


def test_layers_of_the_text_encoder_can_be_left_out(engine):
    pictures = {ask(engine, clip_skip=count).images[0].data for count in (1, 2, 3)}
    assert len(pictures) == 3
    assert ask(engine, clip_skip=2).actual["clip_skip"] == 2


def test_one_sampler_leaves_nothing_behind_for_the_next(engine):
    first = ask(engine, sampler="Euler").images[0].data
    ask(engine, sampler="DPM++ 2M SDE", scheduler="Karras")
    assert ask(engine, sampler="Euler").images[0].data == first


def test_only_the_regions_are_painted_again(engine):
    first = ask(engine).images
    (after,) = ask(engine, "adetailer", inputs=first, mask_feather=0).images
    before = Image.open(io.BytesIO(first[0].data)).convert("RGB")
    changed = ImageChops.difference(before, Image.open(io.BytesIO(after.data)).convert("RGB")).getbbox()
    assert FACE[0] <= changed[0] < changed[2] <= FACE[2] + 1
    assert FACE[1] <= changed[1] < changed[3] <= FACE[3] + 1
    (given,) = ask(engine, "adetailer", inputs=first, mask_feather=0, extra={"regions": [[8, 8, 40, 40]]}).images
    assert given.data == after.data
    seen = []
    ask(
        engine, "adetailer", inputs=first, extra={"regions": [[0, 0, 16, 16], [30, 30, 46, 46]]},
        monitor=StageMonitor(on_progress=seen.append),
    )  # fmt: skip
    assert seen == sorted(seen)
    with pytest.raises(EngineError, match="outside of the image, which is 64 x 48"):
        ask(engine, "adetailer", inputs=first, extra={"regions": [[100, 0, 120, 10]]})


def test_without_a_detector_it_says_what_to_do(model):
    engine = DiffusersEngine(str(model), device="cpu")
    with pytest.raises(EngineError, match=r"pip install ultralytics.*adetailer.extra.regions"):
        ask(engine, "adetailer", inputs=ask(engine).images)


def test_loras_of_the_prompt_are_put_on_and_taken_off(engine, model, tiny_diffusion, tmp_path):
    tiny_diffusion.save_lora(model, tmp_path / "loras" / "styles" / "ink.safetensors")
    plain = ask(engine)
    prompt, extra = f"{PROMPT} <lora:ink:0.5>", {"lora_dir": str(tmp_path / "loras")}
    inked = ask(engine, prompt=prompt, extra=extra)
    assert inked.images[0].data != plain.images[0].data
    assert inked.actual["adapters"] == [{"name": "ink", "weight": 0.5}]
    again = ask(engine)
    assert again.images[0].data == plain.images[0].data
    assert "adapters" not in again.actual
    with pytest.raises(EngineError, match=r"calls the LoRA ink; say where LoRAs are: txt2img.extra.lora_dir"):
        ask(engine, prompt=prompt)
    with pytest.raises(EngineError, match=r"no LoRA other.safetensors in"):
        ask(engine, prompt="<lora:other>", extra=extra)


def test_a_single_file_is_loaded_with_the_folder_that_describes_it(model, tiny_diffusion, tmp_path):
    tiny_diffusion.save_single_file(model, tmp_path / "tiny.safetensors")
    extra = {"config": str(model)}
    result = ask(DiffusersEngine(device="cpu"), model=str(tmp_path / "tiny.safetensors"), extra=extra)
    assert result.images[0].data == ask(DiffusersEngine(str(model), device="cpu")).images[0].data
    assert result.actual["model"] == "tiny"


def test_progress_has_every_step(engine):
    seen = []
    ask(engine, steps=5, n_iter=2, monitor=StageMonitor(on_progress=seen.append))
    assert len(set(seen)) >= 10
    assert seen == sorted(seen)


def test_a_wish_to_stop_is_heard_between_two_steps(engine):
    token, steps = CancelToken(), []

    def stop(fraction):
        steps.append(fraction)
        if len(steps) == 3:
            token.cancel()

    with pytest.raises(Cancelled):
        ask(engine, steps=50, monitor=StageMonitor(token, stop))
    assert len(steps) == 3


def test_what_was_finished_is_kept_when_stopped_later(engine):
    token = CancelToken()
    monitor = StageMonitor(token, lambda fraction: token.cancel() if fraction > 0.6 else None)
    result = ask(engine, n_iter=2, steps=4, monitor=monitor)
    assert isinstance(result.failure, Cancelled)
    assert [image.seed for image in result.images] == [11]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "DPM++ 3M SDE"}, "no sampler 'DPM.* 3M SDE'; it has Euler a, Euler, LMS"),
        ({"width": 63}, "divisible by 8"),
        ({"model": "/not/there"}, "the model /not/there cannot be loaded"),
        ({"model": "/not/there.safetensors"}, r"cannot be loaded: no file /not/there.safetensors"),
        ({"extra": {"dtype": "float17"}}, "no dtype 'float17'"),
        ({"enable_hr": True}, "no hires fix; add the stage upscale"),
        ({"refiner_checkpoint": "x"}, "no refiner"),
    ],
)
def test_a_failure_says_what_to_do(engine, settings, message):
    with pytest.raises(EngineError, match=message):
        ask(engine, **settings)


def test_it_wants_to_know_the_model(needs_diffusers):
    with pytest.raises(EngineError, match=r"txt2img.model=FOLDER"):
        ask(DiffusersEngine(device="cpu"))


def test_it_is_opened_by_name_and_says_what_is_there(needs_diffusers):
    engine = open_engine("diffusers")
    found = engine.check()
    assert found.facts["torch"]
    assert "DPM++ 2M" in found.names["samplers"]
    assert found.problems == []
