import pytest

from stablenew import PipelineConfig
from stablenew.errors import ConfigError
from stablenew.formats.digest import digest_json
from stablenew.formats.pipeline_config import (
    STAGE_TYPES,
    asked_settings,
    setting_names,
    settings_from_preset,
    split_setting,
    standard_setting,
)


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


STAGE_FIELDS = [(stage, name) for stage, kind in STAGE_TYPES.items() for name in kind.model_fields if name != "extra"]


@pytest.mark.parametrize(("stage", "name"), STAGE_FIELDS)
def test_a_setting_is_known_by_each_of_its_names_and_has_its_standard_one(stage, name):
    alias = STAGE_TYPES[stage].model_fields[name].validation_alias
    for spelling in alias.choices if alias else [name]:
        assert split_setting(f"{stage}.{spelling}") == (stage, name)
        assert standard_setting(f"{stage}.{spelling}") == f"{stage}.{name}"
    assert name in setting_names(stage)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("steps", [1, 1000, "30"], [0, 1001, 1.5, True, None, "many"]),
        ("cfg_scale", [0, 100, 7.5], [-0.1, 100.1, float("inf"), True, None]),
        ("width", [1, 16384], [0, 16385, True]),
        ("seed", [-1, 0, 2**64 - 1], [-2, 2**64, 1.5, True]),
        ("subseed_strength", [0, 1], [-0.1, 1.1, float("nan"), True]),
        ("batch_size", [1, 256], [0, 257]),
        ("n_iter", [1, 256], [0, 257]),
        ("clip_skip", [-2, 2], [1.5, True]),
        ("eta", [None, 0, 0.5], [float("nan"), "x", True]),
        ("model", [None, "tiny"], [5]),
        ("sampler", ["", "x"], [None, 5]),
        ("enable_hr", [True, False], ["perhaps", None]),
        ("refiner_switch_at", [0, 0.8, 1], [1.1]),
        ("extra", [{}, {"a": [1]}], [[], None, "x"]),
    ],
)
def test_a_setting_of_the_main_stage_takes_what_it_may_be_and_is_named_otherwise(name, good, bad):
    for value in good:
        PipelineConfig(txt2img={name: value})
    for value in bad:
        with pytest.raises(ConfigError, match=rf"not a valid pipeline config: txt2img\.{name}\b"):
            PipelineConfig(txt2img={name: value})


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"img2img": {"denoising_strength": 1.1}}, "img2img.denoising_strength"),
        ({"adetailer": {"confidence": -1}}, "adetailer.confidence"),
        ({"upscale": {"factor": 0}}, "upscale.factor"),
        ({"upscale": {"factor": 16.1}}, "upscale.factor"),
        ({"txt2img": {"stepz": 1}}, "txt2img.stepz: no such field"),
        ({"dance": {}}, "dance: no such field"),
        ({"txt2img": None}, "txt2img"),
        ({"learning_enabled": 5}, "learning_enabled"),
        ({"learning_tags": "a"}, "learning_tags"),
        ({"prompt": None}, "prompt"),
    ],
)
def test_what_does_not_fit_a_config_is_named_by_its_place(fields, place):
    with pytest.raises(ConfigError, match=f"not a valid pipeline config: {place}"):
        PipelineConfig(**fields)


def test_the_stages_that_run_stand_in_their_order_whatever_the_order_they_were_given_in():
    config = PipelineConfig(upscale={}, adetailer={}, img2img={})
    assert [name for name, _ in config.stages] == ["txt2img", "img2img", "adetailer", "upscale"]
    assert [name for name, _ in config.with_overrides({"adetailer": None}).stages] == ["txt2img", "img2img", "upscale"]


def test_the_json_of_a_config_has_every_setting_of_every_stage_that_runs_and_no_empty_ones():
    written = PipelineConfig(img2img={"steps": 9}).to_dict()
    assert written["txt2img"].keys() == {*setting_names("txt2img")} - {"eta"}
    assert (written["img2img"]["steps"], written["img2img"]["sampler"]) == (9, None)
    assert not {"upscale", "adetailer", "run_id", "one_click_action"} & written.keys()
    assert "extra" in PipelineConfig(txt2img={"extra": {"a": 1}}).to_dict()["txt2img"]


def test_the_digest_of_a_plain_config_never_changes():
    """Whoever compares runs by their config goes by it."""
    assert digest_json(PipelineConfig().to_dict()) == "xxh128:f6d505924824703d14e84fc8a77aabc6"


def test_nobody_changes_a_config_or_what_it_was_built_of():
    extra = {"a": [1]}
    config = PipelineConfig(txt2img={"extra": extra})
    extra["a"].append(2)
    assert config.txt2img.extra == {"a": [1]}
    with pytest.raises(ValueError, match="frozen"):
        config.txt2img.steps = 5


def test_only_what_was_asked_for_is_sent_to_a_program_with_defaults_of_its_own():
    asked = asked_settings(PipelineConfig(txt2img={"steps": 20, "vae": None}).txt2img)
    assert (asked["steps"], asked["vae"], asked["seed"]) == (20, None, -1)
    assert not {"cfg_scale", "sampler", "width", "subseed"} & asked.keys()
    assert asked["batch_size"] == 1, "what no program has a default of its own for is always sent"


def test_overrides_are_taken_one_after_the_other():
    config = PipelineConfig(upscale={"factor": 4})
    assert config.with_overrides({"upscale": None, "upscale.steps": 9}).upscale.factor == 2.0
    assert config.with_overrides({"upscale.steps": 9}).upscale.factor == 4.0
    assert config.with_overrides({"txt2img.extra.a": 1, "txt2img.extra.b": 2}).txt2img.extra == {"a": 1, "b": 2}
    assert config.with_overrides({}) == config
    assert config.with_overrides({"learning_tags": ["x"]}).learning_tags == ("x",)


@pytest.mark.parametrize(
    ("dotted", "words"),
    [
        ("txt2img.stps", "did you mean txt2img.steps?"),
        ("txt2img.qqq", "known are batch_size, cfg_scale"),
        ("txt2img.extra.", r"settings of one engine only: txt2img\.extra\."),
        ("txt2img.extra", "no setting 'txt2img.extra'"),
        ("dance.steps", "no stage 'dance'; there are txt2img, img2img, adetailer, upscale"),
        ("", "no setting ''; write STAGE.KEY"),
        (".steps", "no stage ''"),
    ],
)
def test_a_name_of_no_setting_is_answered_with_the_nearest_or_with_all(dotted, words):
    with pytest.raises(ConfigError, match=words):
        split_setting(dotted)


def test_a_setting_of_one_engine_is_any_name_under_extra():
    assert split_setting("upscale.extra.tile.size") == ("upscale", "extra.tile.size")
    assert split_setting("learning_tags") == ("learning_tags", "")
    assert standard_setting("prompt") == "prompt"


@pytest.mark.parametrize(
    ("stage", "preset", "settings"),
    [
        ("upscale", {"upscaling_resize": 3, "upscale_mode": "single"}, {"factor": 3, "mode": "single"}),
        ("adetailer", {"adetailer_denoise": 0.5, "enabled": False}, {"denoise": 0.5}),
        ("txt2img", {"steps": None, "hr_second_pass_steps": 5}, {"hr_steps": 5}),
        ("img2img", {"unheard_of": 1}, {"extra": {"unheard_of": 1}}),
        ("txt2img", {}, {}),
    ],
)
def test_a_preset_of_any_stage_is_translated(stage, preset, settings):
    assert settings_from_preset(stage, preset) == settings
    PipelineConfig(**{stage: settings})
