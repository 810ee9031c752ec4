"""Which kind of image a batch keeps, in stores that mix tools, models, sizes and files."""

import json

import pyarrow as pa
import pytest

from stablenew.learning.coherent_base import find_base
from stablenew.learning.dataset.columns import IMAGES_SCHEMA
from stablenew.learning.evidence.evidence_table import ImagesForEvidence, build_evidence_table
from stablenew.learning.evidence.setting_factors import SETTINGS, is_of_kind
from stablenew.learning.tuned_ranges import SettingRange, choose_ranges

USUAL = {
    "engine": "webui",
    "model": "a",
    "sampler": "Euler",
    "width": 512,
    "height": 512,
    "steps": 20,
    "cfg_scale": 7.0,
}


def describe(*groups):
    """Rated images (columns that differ from the usual, and how many images have them) of a dataset."""
    rows = [USUAL | changes for changes, count in groups for _ in range(count)]
    given = {column.name: [row.get(column.name) for row in rows] for column in IMAGES_SCHEMA}
    given["image_id"] = [f"xxh128:{number:032x}" for number in range(len(rows))]
    given["rating"] = [3.0] * len(rows)
    given["ratings"] = [[{"rater": "alice", "rating": 3, "rated_at": None}]] * len(rows)
    given["run_id"] = ["run"] * len(rows)
    return pa.table([pa.array(given[column.name], column.type) for column in IMAGES_SCHEMA], schema=IMAGES_SCHEMA)


def find(*groups, others=(), asked=()):
    images = ImagesForEvidence(describe(*groups), describe(*others), [], {})
    return find_base(images, images.build_table(), build_evidence_table(images.others), asked)


def own(**settings):
    return {"settings": [{"name": name, "value": json.dumps(value)} for name, value in settings.items()]}


def test_images_of_one_kind_are_all_kept_and_nothing_is_said():
    base = find(({}, 3), ({"steps": 30, "cfg_scale": 4.0, "sampler": "DDIM"}, 4))
    assert base.judged.all()
    assert base.text == ""
    assert base.settings == {"txt2img.model": "a", "txt2img.width": 512, "txt2img.height": 512}


@pytest.mark.parametrize(
    "other",
    [
        {"engine": "comfyui"},
        {"model": "b"},
        {"vae": "b.safetensors"},
        {"width": 80},
        {"height": 80},
        {"image_width": 1024, "image_height": 1024},
        {"txt2img_refiner_checkpoint": "b"},
        {"txt2img_enable_hr": True},
        {"txt2img_hr_scale": 1.5},
        {"upscale_factor": 4.0},
        {"adetailer_model": "hand_yolov8n.pt"},
        {"adetailer_steps": 12},
        {"denoising_strength": 0.5},
        {"scheduler": "Karras"},
        {"loras": [{"name": "ink", "weight": 0.7}]},
        own(**{"ControlNet 0": "canny"}),
        own(**{"Hires upscale": 2}),
        own(motion="mm_v15.ckpt"),
    ],
    ids=str,
)
def test_what_makes_another_kind_of_image_is_not_mixed_in(other):
    base = find((other, 2), ({}, 3))
    assert base.judged.tolist() == [False] * 2 + [True] * 3
    assert "one kind of image, that of 3 of 5 rated images: webui, model a, 512x512" in base.text


def test_each_choice_is_made_among_those_left_so_that_the_combination_exists():
    base = find(({"model": "a", "width": 64}, 2), ({"model": "a", "width": 96}, 1), ({"model": "b", "width": 128}, 2))
    assert (base.settings["txt2img.model"], base.settings["txt2img.width"]) == ("a", 64)
    assert (base.image_count, base.total_count, base.other_model) == (2, 5, "b")


def test_loras_are_compared_by_name_whatever_their_order_and_weight():
    ink, glow = {"name": "ink", "weight": 0.7}, {"name": "glow", "weight": 1.0}
    base = find(({"loras": [ink, glow]}, 2), ({"loras": [glow, ink | {"weight": 0.2}]}, 2), ({"loras": [ink]}, 3))
    assert base.judged.tolist() == [True] * 4 + [False] * 3
    assert base.loras == ("glow", "ink")


def test_rated_images_decide_and_where_there_are_none_all_do():
    rated, others = ({"model": "b"}, 1), [({"model": "a"}, 5), ({"model": "b"}, 2)]
    base = find(rated, others=others)
    assert base.settings["txt2img.model"] == "b"
    assert base.others.tolist() == [False] * 5 + [True] * 2
    assert base.text == ""
    unrated = find(others=others)
    assert unrated.settings["txt2img.model"] == "a"
    assert "one kind of image, that of 5 of 7 images: webui, model a" in unrated.text
    assert "such as model:b," in unrated.text


def test_what_is_asked_for_is_varied_and_the_rest_fits_it():
    asked = (SettingRange("txt2img.model", ("b", "c"), is_interval=False),)
    base = find(({"model": "a"}, 5), ({"model": "b", "width": 96}, 2), ({"model": "c", "width": 96}, 1), asked=asked)
    assert base.judged.tolist() == [False] * 5 + [True] * 3
    assert base.settings == {"txt2img.width": 96, "txt2img.height": 512}


def test_a_size_that_is_asked_for_does_not_bind_the_size_of_the_image():
    asked = (SettingRange("txt2img.width", (512, 768), is_interval=True),)
    sizes = [({"width": width, "image_width": width, "image_height": 512}, 2) for width in (512, 768)]
    assert find(*sizes, asked=asked).judged.all()


def test_a_model_with_a_space_in_its_name_is_quoted_for_the_query():
    assert 'such as model:"dream shaper",' in find(({}, 2), ({"model": "dream shaper"}, 1)).text


def test_no_image_is_no_kind():
    base = find()
    assert (base.engine, base.settings, base.loras, base.text) == (None, {}, (), "")


def test_only_settings_of_stages_that_the_images_went_through_are_tuned():
    varied = [
        ({"denoising_strength": strength, "img2img_steps": steps}, 2) for strength, steps in ((0.3, 9), (0.5, 12))
    ]
    ran = find(*varied)
    used = {"img2img.steps": 9}
    assert ran.may_vary("img2img.denoising_strength", used)
    assert not ran.may_vary("img2img.denoising_strength", {})
    assert not ran.may_vary("txt2img.width", used)
    table = build_evidence_table(describe(*varied))
    nothing = build_evidence_table(describe())
    names = [found.name for found in choose_ranges(table, nothing, used, lambda name: ran.may_vary(name, used))]
    assert names == ["img2img.steps", "img2img.denoising_strength"]


def test_words_files_and_sizes_are_of_the_kind_and_numbers_that_tune_are_not():
    assert {name for name in SETTINGS if not is_of_kind(name) and name.startswith("txt2img.")} == {
        "txt2img.sampler", "txt2img.scheduler", "txt2img.steps", "txt2img.cfg_scale", "txt2img.subseed_strength",
        "txt2img.clip_skip", "txt2img.eta", "txt2img.hr_steps", "txt2img.hr_denoising_strength",
        "txt2img.refiner_switch_at",
    }  # fmt: skip
