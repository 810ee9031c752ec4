"""What every engine promises, whatever it is made of."""

import io
from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType

import pytest
from PIL import Image

from stablenew import CancelToken, Engine, StageRequest
from stablenew.engines.engine import StageMonitor
from stablenew.errors import Cancelled, EngineError
from stablenew.formats.digest import digest_bytes

PROMPT = "a quiet harbour at dawn"


SETTINGS = MappingProxyType(
    {
        "steps": 4,
        "sampler": "Euler a",
        "scheduler": "Normal",
        "cfg_scale": 7.0,
        "width": 64,
        "height": 48,
        "seed": 11,
    }
)
SERVER_STAGES = MappingProxyType(
    {
        "txt2img": {
            **SETTINGS, "sampler": "DPM++ 2M", "scheduler": "Karras", "steps": 6, "batch_size": 2, "n_iter": 2,
            "model": "sd_xl_base_1.0", "clip_skip": 2,
        },
        "img2img": {"steps": 5, "denoising_strength": 0.4},
        "adetailer": {"confidence": 0.35, "steps": 8},
        "upscale": {"factor": 2.0},
    }
)  # fmt: skip
"""A batch through all four stages, as the stand-ins for servers can do it."""


class EngineContract:
    """Subclasses say how to make the engine and which settings it takes."""

    settings = SETTINGS

    def make_engine(self):
        raise NotImplementedError

    def run(self, stage="txt2img", *, prompt=PROMPT, inputs=(), monitor=None, **settings):
        """What an engine gives, also where it failed after some images."""
        request = StageRequest(stage, {**self.settings, **settings}, prompt, inputs=tuple(inputs))
        return self.make_engine().run_stage(request, monitor or StageMonitor())

    def ask(self, stage="txt2img", **options):
        """The same, where nothing may fail."""
        result = self.run(stage, **options)
        if result.failure is not None:
            raise result.failure
        return result

    def need(self, stage):
        if stage not in self.make_engine().info.stages:
            pytest.skip(f"it has no stage {stage}")

    def test_it_is_an_engine_and_says_what_it_is(self):
        engine = self.make_engine()
        assert isinstance(engine, Engine)
        assert engine.info.name
        assert engine.info.version
        assert "txt2img" in engine.info.stages

    def test_images_are_what_they_say(self):
        for image in self.ask(batch_size=2).images:
            with Image.open(io.BytesIO(image.data)) as opened:
                assert Image.MIME[opened.format] == image.media_type
                assert (opened.width, opened.height) == (image.width, image.height) == (64, 48)
                if image.pixel_digest:
                    assert image.pixel_digest == digest_bytes(opened.convert("RGB").tobytes())

    def test_every_image_of_a_batch_has_its_own_seed(self):
        images = self.ask(batch_size=2, n_iter=2).images
        assert [image.seed for image in images] == [11, 12, 13, 14]
        assert len({image.data for image in images}) == 4

    def test_an_open_seed_is_chosen_and_reported(self):
        result = self.ask(seed=-1)
        assert result.actual["seed"] == result.images[0].seed >= 0

    def test_equal_requests_give_equal_bytes(self):
        if self.make_engine().info.is_deterministic:
            assert self.ask().images[0].data == self.ask().images[0].data

    @pytest.mark.parametrize("stage", ["img2img", "adetailer", "upscale"])
    def test_later_stages_change_their_input_and_know_it(self, stage):
        self.need(stage)
        inputs = self.ask(batch_size=2).images
        outputs = self.ask(stage, inputs=inputs, denoising_strength=0.5, factor=2.0).images
        assert [image.parent for image in outputs] == [0, 1]
        for before, after in zip(inputs, outputs, strict=True):
            assert after.data != before.data
            assert (after.width, after.height) == ((128, 96) if stage == "upscale" else (64, 48))

    @pytest.mark.parametrize("prompt", ["", "海 \u2028 🌊 <script>", "x" * 50_000, "half \ud800"])
    def test_any_prompt_will_do(self, prompt):
        assert self.ask(prompt=prompt).images

    def test_progress_only_grows_and_ends_at_one(self):
        seen = []
        self.ask(batch_size=3, monitor=StageMonitor(on_progress=seen.append))
        assert seen
        assert all(a <= b for a, b in pairwise(seen))
        assert seen[-1] == 1.0

    def test_a_wish_to_stop_is_heard(self):
        token = CancelToken()
        token.cancel()
        with pytest.raises(Cancelled):
            self.ask(monitor=StageMonitor(token))

    def test_a_wish_to_stop_in_the_middle_is_heard(self):
        token = CancelToken()
        with pytest.raises(Cancelled):
            self.ask(batch_size=50, monitor=StageMonitor(token, lambda fraction: token.cancel()))

    @pytest.mark.parametrize("stage", ["img2img", "adetailer", "upscale"])
    def test_what_was_finished_before_a_failure_is_kept(self, stage):
        self.need(stage)
        (good,) = self.ask().images
        result = self.run(stage, inputs=[good, replace(good, data=b"no image"), good], denoising_strength=0.5)
        assert type(result.failure) is EngineError
        assert [image.parent for image in result.images] == [0]

    def test_a_stage_without_its_input_is_a_clear_error(self):
        self.need("img2img")
        with pytest.raises(EngineError, match="needs an image"):
            self.ask("img2img")

    def test_an_unknown_stage_is_a_clear_error(self):
        with pytest.raises(EngineError, match="dance"):
            self.ask("dance")
