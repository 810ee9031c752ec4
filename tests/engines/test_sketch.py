import io

import numpy as np
import pytest
from PIL import Image

from stablenew import SketchEngine, StageRequest, open_engine
from stablenew.engines.engine import EngineImage, StageMonitor
from stablenew.engines.engine_registry import engine_names
from stablenew.errors import ConfigError, EngineError, UnknownEngine
from tests.engines.engine_contract import PROMPT, EngineContract
from tests.samples import png

BASE = {
    "steps": 20,
    "sampler": "Euler a",
    "scheduler": "Normal",
    "cfg_scale": 7.0,
    "width": 96,
    "height": 96,
    "seed": 3,
}


def pixels(prompt=PROMPT, **settings):
    result = SketchEngine().run_stage(StageRequest("txt2img", BASE | settings, prompt), StageMonitor())
    with Image.open(io.BytesIO(result.images[0].data)) as image:
        return np.asarray(image.convert("RGB"), dtype=float)


class TestSketchKeepsTheEngineContract(EngineContract):
    def make_engine(self):
        return SketchEngine(random_bits=lambda bits: 77)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 5},
        {"cfg_scale": 12.0},
        {"sampler": "DDIM"},
        {"scheduler": "Karras"},
        {"seed": 4},
        {"prompt": "a night forest"},
    ],
    ids=str,
)
def test_different_settings_give_visibly_different_pictures(change):
    difference = np.abs(pixels(**change) - pixels()).mean()
    assert difference > 3, "at least three of 255 levels on average"


def test_a_negative_prompt_changes_the_picture_too():
    engine = SketchEngine()
    first, second = (
        engine.run_stage(StageRequest("txt2img", BASE, PROMPT, negative), StageMonitor()).images[0].data
        for negative in ("", "blurry")
    )
    assert first != second


def test_it_does_not_pretend():
    result = SketchEngine().run_stage(
        StageRequest("txt2img", BASE | {"model": "landscape.safetensors"}, PROMPT), StageMonitor()
    )
    assert result.actual["model"] == "sketch-1"
    with Image.open(io.BytesIO(result.images[0].data)) as image:
        assert "no diffusion model" in image.text["Software"]
        assert image.text["parameters"].startswith(PROMPT)


def test_an_input_that_is_no_image_is_a_clear_error():
    broken = EngineImage(png()[:40], "image/png", 8, 6)
    with pytest.raises(EngineError, match="not an image that can be decoded"):
        SketchEngine().run_stage(StageRequest("upscale", {}, "", inputs=(broken,)), StageMonitor())


def test_a_picture_of_unreasonable_size_is_refused():
    with pytest.raises(EngineError, match="lower width and height"):
        pixels(width=16384, height=16384)


def test_engines_are_opened_by_name():
    assert isinstance(open_engine("sketch"), SketchEngine)
    assert "sketch" in engine_names()
    with pytest.raises(ConfigError, match="not a server"):
        open_engine("sketch", url="http://127.0.0.1:7860")
    with pytest.raises(UnknownEngine, match="no engine 'paint'; there are .*sketch"):
        open_engine("paint")
