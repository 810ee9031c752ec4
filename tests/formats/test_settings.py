import pytest

from stablenew.formats.documents.learning_record import GenerationSettings
from stablenew.formats.pipeline_config import Txt2ImgSettings
from stablenew.formats.settings import BY_NAME, INHERITED, SETTINGS, find_setting, standard_name, standard_names


@pytest.mark.parametrize(
    ("name", "standard"),
    [
        ("guidance_scale", "cfg_scale"),
        ("CFG scale", "cfg_scale"),
        ("cfg-scale", "cfg_scale"),
        ("num_inference_steps", "steps"),
        ("Sampler_Name", "sampler"),
        ("CLIP_stop_at_last_layers", "clip_skip"),
        ("eta", "eta"),
        ("s_churn", "s_churn"),
        ("", ""),
    ],
)
def test_any_program_s_name_of_a_setting_gives_the_standard_one(name, standard):
    assert standard_name(name) == standard


def test_no_name_means_two_settings():
    names = [name.casefold() for setting in SETTINGS for name in {setting.name, *setting.aliases, *setting.written_as}]
    assert len(names) == len(set(names))


def test_records_have_a_field_for_each_setting_and_no_other():
    assert list(GenerationSettings.model_fields) == [setting.name for setting in SETTINGS]


def test_the_pipeline_s_first_stage_has_what_later_stages_inherit():
    assert set(INHERITED) <= Txt2ImgSettings.model_fields.keys()


def test_the_standard_name_counts_where_two_names_are_given():
    assert standard_names({"cfg_scale": 5, "guidance_scale": 7, "foo": 1}) == {"cfg_scale": 5, "foo": 1}
    assert standard_names({"guidance_scale": 7}) == {"cfg_scale": 7}


def test_what_is_not_in_the_table_is_not_found():
    assert find_setting("model") is BY_NAME["model"]
    assert find_setting("prompt") is None


@pytest.mark.parametrize("column", ["webui", "webui_option", "diffusers"])
def test_a_program_has_one_setting_under_a_name(column):
    names = [getattr(setting, column) for setting in SETTINGS if getattr(setting, column)]
    assert len(names) == len(set(names))


def test_no_input_of_a_comfyui_node_holds_two_settings():
    inputs = [name for setting in SETTINGS for name in (*setting.comfyui, *setting.comfyui_encoder)]
    assert len(inputs) == len(set(inputs))


def test_a_field_of_sd_next_stands_for_an_option_of_the_others():
    assert all(setting.webui_option for setting in SETTINGS if setting.sd_next)
