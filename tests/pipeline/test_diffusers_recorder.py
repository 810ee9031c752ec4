"""record_pipeline: somebody's own pipeline, with every call recorded and nothing else changed."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stablenew import RunRecorder, RunStore, RunVerifier, record_pipeline
from stablenew.errors import ConfigError

SETTINGS = {"width": 64, "height": 48, "num_inference_steps": 3}


class Images:
    def __init__(self, images):
        self.images = images


class Painter:
    """A pipeline as diffusers has them, without its weights."""

    name_or_path = "/models/painter"

    def __call__(
        self,
        prompt=None,
        image=None,
        height=None,
        width=None,
        num_inference_steps=50,
        guidance_scale=7.5,
        negative_prompt=None,
        num_images_per_prompt=1,
        generator=None,
        output_type="pil",
        return_dict=True,
        **kwargs,
    ):
        """Paint."""
        if prompt == "fail":
            raise RuntimeError("no paint left")
        count = (len(prompt) if isinstance(prompt, list) else 1) * num_images_per_prompt
        images = [
            Image.new("RGB", (width or 32, height or 32), (len(str(prompt)), 40 * one, 9)) for one in range(count)
        ]
        return Images(images) if return_dict else (images, None)

    def to(self, device):
        self.device = device
        return self


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def records_of(runs):
    found = sorted(RunStore(runs).iter_runs(), key=lambda run: run.run_id)
    return [record for run in found for record in run.iter_records()]


def test_each_call_is_a_sealed_run(runs):
    pipe = record_pipeline(Painter(), runs, learning_tags=["mine"])
    made = pipe("a pier", negative_prompt="fog", eta=0.3, **SETTINGS)
    assert made.images[0].size == (64, 48)
    pipe(prompt="a lake")
    first, second = records_of(runs)
    assert (first.prompt.positive, first.prompt.negative, second.prompt.positive) == ("a pier", "fog", "a lake")
    requested = first.requested.to_dict()
    assert (requested["steps"], requested["cfg_scale"], requested["width"], requested["eta"]) == (3, 7.5, 64, 0.3)
    assert (first.actual.model, second.actual.width, first.requested.seed) == ("painter", 32, -1)
    assert first.learning_tags == ("mine",)
    assert all(RunVerifier(run, deep=True).verify().is_ok for run in RunStore(runs).iter_runs())
    assert {run.metadata.status for run in RunStore(runs).iter_runs()} == {"completed"}


def test_the_pipeline_stays_what_it_was(runs):
    pipe = Painter()
    recorded = record_pipeline(pipe, runs)
    assert recorded is pipe
    assert isinstance(recorded, Painter)
    assert (type(recorded).__name__, type(recorded).__module__) == ("Painter", Painter.__module__)
    assert recorded.__call__.__doc__ == "Paint."
    moved = recorded.to("cuda")
    moved("still recorded")
    assert len(records_of(runs)) == 1
    record_pipeline(recorded, runs)
    recorded("once, not twice")
    assert len(records_of(runs)) == 2
    Painter()("others are left alone")
    assert len(records_of(runs)) == 2


def test_calls_can_be_variants_of_one_run(runs):
    with RunRecorder(runs, name="my script") as run:
        pipe = record_pipeline(Painter(), run)
        for prompt in ("a pier", "a lake"):
            pipe(prompt)
    assert [record.variant.index for record in records_of(runs)] == [0, 1]
    assert len(list(RunStore(runs).iter_runs())) == 1


def test_a_list_of_prompts_gives_a_variant_each(runs):
    record_pipeline(Painter(), runs)(["a pier", "a lake"], num_images_per_prompt=2, negative_prompt=["fog", "rain"])
    first, second = records_of(runs)
    assert (first.prompt.positive, second.prompt.positive, second.prompt.negative) == ("a pier", "a lake", "rain")
    assert (len(first.outputs), len(second.outputs)) == (2, 2)
    assert len({output.digest for output in (*first.outputs, *second.outputs)}) == 4


def test_what_is_made_from_a_recorded_image_is_its_child(runs):
    pipe = record_pipeline(Painter(), runs)
    (image,) = pipe("a pier", **SETTINGS).images
    pipe("a pier at night", image=image)
    first, second = records_of(runs)
    assert second.stages[0].name == "img2img"
    assert second.outputs[0].parents == (first.outputs[0].digest,)


def test_a_failure_is_recorded_and_goes_on_its_way(runs):
    pipe = record_pipeline(Painter(), runs)
    with pytest.raises(RuntimeError, match="no paint left"):
        pipe("fail")
    (record,) = records_of(runs)
    assert (record.status, record.error.message) == ("failed", "RuntimeError: no paint left")
    (run,) = RunStore(runs).iter_runs()
    assert run.metadata.status == "failed"


def test_a_tuple_is_understood_too(runs):
    images, _ = record_pipeline(Painter(), runs)("a pier", return_dict=False)
    assert len(images) == len(records_of(runs)[0].outputs) == 1


def test_a_store_that_cannot_be_written_harms_nobody(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    pipe = record_pipeline(Painter(), tmp_path / "file" / "runs")
    with caplog.at_level(logging.ERROR):
        assert pipe("a pier").images
        assert pipe("a lake").images
    assert "failed" in caplog.text


def test_what_cannot_be_wrapped_says_so(runs):
    with pytest.raises(ConfigError, match="use RunRecorder"):
        record_pipeline(len, runs)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
class TestReal:
    """With diffusers itself."""

    @pytest.fixture(scope="class")
    def pipe(self, tiny_diffusion, tmp_path_factory):
        folder = tmp_path_factory.mktemp("tiny")
        tiny_diffusion.make_pipeline(folder / "parts").save_pretrained(folder / "tiny-diffusion")
        from diffusers import DiffusionPipeline

        pipe = DiffusionPipeline.from_pretrained(folder / "tiny-diffusion")
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def test_seeds_scheduler_and_versions_are_recorded(self, pipe, runs):
        import torch

        record_pipeline(pipe, runs)
        generators = [torch.Generator().manual_seed(seed) for seed in (11, 2**62)]
        pipe("a pier", num_images_per_prompt=2, generator=generators, **SETTINGS)
        (record,) = records_of(runs)
        assert [output.seed for output in record.outputs] == [11, 2**62]
        actual = record.actual.to_dict()
        assert (actual["model"], actual["sampler"], actual["steps"]) == ("tiny-diffusion", "Euler", 3)
        assert (actual["dtype"], actual["device"]) == ("float32", "cpu")
        assert actual["scheduler_config"]["class"] == "EulerDiscreteScheduler"
        assert actual["versions"]["torch"] == torch.__version__
        pipe("again", generator=generators[:1], **SETTINGS)
        assert records_of(runs)[1].outputs[0].seed is None, "a generator that was drawn from has moved on"

    def test_what_the_images_depend_on_is_recorded(self, pipe, runs):
        record_pipeline(pipe, runs)("a quiet harbour", **SETTINGS)
        (run,) = RunStore(runs).iter_runs()
        closure = run.metadata.closure
        (weights,) = (file for file in closure.models if file.name.startswith("tiny-diffusion/unet/diffusion"))
        path = Path(pipe.name_or_path) / weights.name.partition("/")[2]
        assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert {"torch", "diffusers", "python"} <= closure.versions.keys()
        assert (closure.device, closure.dtype) == ("cpu", "float32")

    def test_it_is_still_the_pipeline_that_it_was(self, pipe, runs, tmp_path):
        import torch
        from diffusers import AutoPipelineForImage2Image, StableDiffusionPipeline

        def picture():
            generator = torch.Generator().manual_seed(3)
            return pipe("a pier", generator=generator, **SETTINGS).images[0]

        before = picture().tobytes()
        record_pipeline(pipe, runs)
        image = picture()
        assert image.tobytes() == before
        assert isinstance(pipe, StableDiffusionPipeline)
        pipe.save_pretrained(tmp_path / "saved")
        assert '"_class_name": "StableDiffusionPipeline"' in (tmp_path / "saved" / "model_index.json").read_text()
        child = record_pipeline(AutoPipelineForImage2Image.from_pipe(pipe), runs)
        child("at night", image=image, strength=0.7, num_inference_steps=3)
        assert records_of(runs)[-1].outputs[0].parents == (records_of(runs)[0].outputs[0].digest,)
        assert records_of(runs)[-1].actual.denoising_strength == 0.7


class Prediction:
    """A result that calls what it made by another name than `images`."""

    def __init__(self, **fields):
        vars(self).update(fields)


def painter_of(result):
    class Custom(Painter):
        def __call__(self, prompt=None, **kwargs):
            return result

    return Custom()


GREY = np.linspace(0, 1, 48 * 64).reshape(1, 48, 64, 1)
PICTURE = Image.new("RGB", (64, 48), (9, 80, 200))


@pytest.mark.parametrize(
    ("result", "count"),
    [
        (PICTURE, 1),
        ([PICTURE, PICTURE.rotate(90)], 2),
        (Images(GREY), 1),
        (Images(np.concatenate([GREY] * 4, axis=3)), 1),
        (Prediction(prediction=GREY), 1),
        (Prediction(frames=[[PICTURE, PICTURE.convert("L"), PICTURE]]), 3),
        ({"images": [PICTURE], "nsfw_content_detected": [False]}, 1),
        (([PICTURE], [False]), 1),
        (Prediction(image=PICTURE), 1),
    ],
)
def test_results_of_custom_pipelines_are_recorded_by_what_they_hold(runs, result, count):
    assert record_pipeline(painter_of(result), runs)("a pier") is result
    (record,) = records_of(runs)
    assert [(output.width, output.height) for output in record.outputs] == [(64, 48)] * count
    (run,) = RunStore(runs).iter_runs()
    assert (run.metadata.status, record.actual.width) == ("completed", 64)


class Unreadable:
    """Raises whatever it is asked."""

    def __getattribute__(self, name):
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "arguments",
    [
        {"generator": Unreadable()},
        {"image": Unreadable()},
        {"num_inference_steps": Unreadable()},
        {"negative_prompt": Unreadable()},
        {"num_images_per_prompt": "many"},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_an_argument_that_cannot_be_read_costs_neither_prompt_nor_image(runs, arguments):
    record_pipeline(painter_of([PICTURE]), runs)("a pier", **arguments)
    (record,) = records_of(runs)
    assert (record.prompt.positive, len(record.outputs)) == ("a pier", 1)


def test_prompts_in_an_array_are_prompts(runs):
    record_pipeline(painter_of([PICTURE, PICTURE.rotate(90)]), runs)(np.array(["a pier", "a mole"]))
    found = [(record.prompt.positive, len(record.outputs)) for record in records_of(runs)]
    assert found == [("a pier", 1), ("a mole", 1)]


def test_results_without_an_image_say_so(runs):
    record_pipeline(painter_of(Prediction(latents=5)), runs)("a pier")
    (run,) = RunStore(runs).iter_runs()
    assert run.metadata.status == "partial"
    assert "Prediction" in run.metadata.unrecorded[0].reason


def test_images_that_cannot_be_shared_evenly_are_all_kept(runs):
    images = [Image.new("RGB", (8, 8), (number, 0, 0)) for number in range(5)]
    record_pipeline(painter_of(Images(images)), runs)(["a pier", "a lake", "a hill"])
    assert [len(record.outputs) for record in records_of(runs)] == [1, 1, 3]


def test_the_names_that_diffusers_gives_settings_are_kept_beside_the_standard_ones(runs):
    record_pipeline(Painter(), runs)("a pier", num_inference_steps=3)
    (record,) = records_of(runs)
    assert record.given_names == {"num_inference_steps": "steps", "guidance_scale": "cfg_scale"}
