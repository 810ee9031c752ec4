"""The text in the WebUIs' images."""

from stablenew.formats.prompt_text import parse_infotext

TEXT = """a quiet harbour, (boats:1.2)
<lora:ink:0.5>
Negative prompt: fog, text
blurry
Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 4294967295, Size: 832x1216, \
Model hash: 31e35c80fc, Model: sd_xl_base_1.0, Clip skip: 2, Denoising strength: 0.4, \
Lora hashes: "ink: 1a2b, other: 3c4d", Version: v1.10.1"""


def test_prompt_negative_and_parameters_are_told_apart():
    said = parse_infotext(TEXT)
    assert said.prompt == "a quiet harbour, (boats:1.2)\n<lora:ink:0.5>"
    assert said.negative_prompt == "fog, text\nblurry"
    assert said.parameters["Lora hashes"] == "ink: 1a2b, other: 3c4d"
    settings = said.settings()
    assert settings.pop("generation_params")["Version"] == "v1.10.1"
    assert settings == {
        "steps": 30, "sampler": "DPM++ 2M", "scheduler": "Karras", "cfg_scale": 6.5, "seed": 4294967295, "width": 832,
        "height": 1216, "model_hash": "31e35c80fc", "model": "sd_xl_base_1.0", "clip_skip": 2,
        "denoising_strength": 0.4,
    }  # fmt: skip


def test_a_text_without_parameters_is_a_prompt():
    assert parse_infotext("a: b, and nothing else").prompt == "a: b, and nothing else"
    assert parse_infotext("").prompt == ""
    assert parse_infotext("").settings() == {}


def test_a_parameter_that_is_no_number_is_left_as_text():
    said = parse_infotext("x\nSteps: many, Sampler: Euler, Seed: 5, Size: wide")
    assert said.settings() == {"sampler": "Euler", "seed": 5, "generation_params": said.parameters}
