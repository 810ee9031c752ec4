from stablenew.pipeline.substitutions import describe_substitutions, find_substitutions


def names(requested, actual):
    return [found.setting.name for found in find_substitutions(requested, actual)]


def test_another_value_is_a_substitution():
    assert names({"model": "a", "steps": 30, "width": 100}, {"model": "b", "steps": 20, "width": 96}) == [
        "model",
        "steps",
        "width",
    ]


def test_another_name_of_the_same_thing_is_none():
    requested = {"model": "sd/dream.safetensors [879db523c3]", "sampler": "euler_ancestral", "scheduler": "karras"}
    assert names(requested, {"model": "dream", "sampler": "Euler a", "scheduler": "Karras"}) == []


def test_a_name_that_holds_a_schedule_too_is_none_as_long_as_that_schedule_ran():
    asked = {"sampler": "DPM++ 2M Karras"}
    assert names(asked, {"sampler": "DPM++ 2M", "scheduler": "Karras"}) == []
    assert names(asked, {"sampler": "DPM++ 2M", "scheduler": "Normal"}) == ["sampler"]
    assert names(asked, {"sampler": "DPM++ SDE", "scheduler": "Karras"}) == ["sampler"]
    assert names({"sampler": "Nosuch Karras"}, {"sampler": "DPM++ 2M", "scheduler": "Karras"}) == ["sampler"]


def test_what_was_left_to_the_program_is_none():
    assert (
        names(
            {"seed": -1, "vae": "Automatic", "scheduler": "Automatic"}, {"seed": 7, "vae": "x", "scheduler": "Karras"}
        )
        == []
    )


def test_a_seed_that_was_asked_for_counts():
    assert names({"seed": 5}, {"seed": 6}) == ["seed"]


def test_what_was_not_asked_for_or_is_not_known_is_none():
    assert names({"eta": None}, {"eta": 0.5, "steps": 20}) == []


def test_each_difference_is_told_once_with_how_often_it_happened():
    variants = [({"sampler": "Nosuch"}, {"sampler": "DPM++ 2M"})] * 3 + [({"model": "a"}, {"model": "b"})]
    assert describe_substitutions(variants) == [
        "Sampler DPM++ 2M ran instead of Nosuch (3 variants)",
        "Model b ran instead of a",
    ]
