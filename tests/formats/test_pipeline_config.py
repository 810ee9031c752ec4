import pytest

from stablenew import PipelineConfig
from stablenew.errors import ConfigError
from stablenew.formats.pipeline_config import settings_from_preset


def test_every_field_has_a_harmless_default():
    config = PipelineConfig()
    assert config.learning_enabled is False
    assert (config.run_id, config.one_click_action, config.learning_tags) == (None, None, ())
    settings = config.txt2img
    assert (settings.steps, settings.sampler, settings.scheduler, settings.cfg_scale) == (20, "Euler a", "Normal", 7.0)
    assert (settings.width, settings.height, settings.seed, settings.clip_skip) == (512, 512, -1, 2)
    assert [name for name, _ in config.stages] == ["txt2img"]


def test_later_stages_have_the_documented_defaults():
    config = PipelineConfig(img2img={}, adetailer={}, upscale={})
    assert (config.img2img.steps, config.img2img.denoising_strength) == (15, 0.3)
    detail = config.adetailer
    assert (detail.model, detail.confidence, detail.denoise, detail.steps) == ("face_yolov8n.pt", 0.3, 0.4, 28)
    assert (config.upscale.upscaler, config.upscale.factor, config.upscale.mode) == ("R-ESRGAN 4x+", 2.0, "single")


def test_a_config_reads_back_from_its_own_json():
    config = PipelineConfig(
        txt2img={"seed": 2**64 - 1, "extra": {"a": [1]}}, upscale={}, learning_tags=["x"], prompt="é"
    )
    assert PipelineConfig.from_dict(config.to_dict()) == config


def test_names_of_other_programs_are_understood():
    config = PipelineConfig(txt2img={"sampler_name": "DDIM", "cfg": 5}, upscale={"upscaling_resize": 3})
    assert (config.txt2img.sampler, config.txt2img.cfg_scale, config.upscale.factor) == ("DDIM", 5.0, 3.0)


def test_overrides_replace_settings_and_turn_stages_on():
    base = PipelineConfig(txt2img={"steps": 30})
    config = base.with_overrides({"txt2img.cfg": 9, "upscale.factor": 3, "txt2img.extra.tiling": True})
    assert (config.txt2img.steps, config.txt2img.cfg_scale, config.upscale.factor) == (30, 9.0, 3.0)
    assert config.txt2img.extra == {"tiling": True}
    assert base.upscale is None
    assert config.with_overrides({"upscale": None}).upscale is None


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"txt2img.stepz": 1}, "did you mean txt2img.steps"),
        ({"dance.steps": 1}, "no stage 'dance'"),
        ({"steps": 1}, "STAGE.KEY"),
        ({"txt2img.steps": 0}, "txt2img.steps"),
        ({"txt2img.steps": True}, "txt2img.steps"),
        ({"txt2img.cfg_scale": float("nan")}, "cfg_scale"),
        ({"upscale.mode": "magic"}, "upscale.mode"),
        ({"run_id": "../x"}, "cannot name a run"),
    ],
)
def test_a_setting_that_does_not_exist_or_fit_is_named(overrides, says):
    with pytest.raises(ConfigError, match=says):
        PipelineConfig().with_overrides(overrides)


def test_a_preset_is_translated_and_the_rest_kept_for_the_engine():
    preset = {"enabled": True, "sampler_name": "DDIM", "hypernetwork": "None", "vae": None}
    assert settings_from_preset("txt2img", preset) == {"sampler": "DDIM", "extra": {"hypernetwork": "None"}}
