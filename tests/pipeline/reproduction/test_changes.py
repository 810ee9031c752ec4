"""What changed between two runs, from closures and records written out."""

import pytest

from stablenew import LearningRecord
from stablenew.formats.documents.run_metadata import Closure
from stablenew.pipeline.reproduction.change import Change
from stablenew.pipeline.reproduction.changes import find_changes
from stablenew.pipeline.reproduction.closure_changes import compare_closures
from stablenew.pipeline.reproduction.setting_changes import compare_records
from tests.samples import record

WHOLE = {"torch": "2.8.0", "diffusers": "0.35"}
"""Versions of a run that lists its libraries: what it does not name was not there."""
OLD, NEW = "a" * 64, "b" * 64


def closure(**fields):
    return Closure.model_validate(fields)


def compare(before, after):
    """The changes between two closures, and what is not known."""
    changes, unknown = compare_closures(closure(**before), closure(**after))
    return [(change.kind, change.name, change.before, change.after) for change in changes], unknown


def file(name, sha256=OLD, kind="checkpoint", **fields):
    return {"name": name, "kind": kind, "sha256": sha256} | fields


def models(*files):
    return {"models": list(files)}


def records(before, after):
    """Two records that differ in what is given."""
    return [(record(**before), record(**after))]


def settings(before, after):
    return [
        (change.name, change.before, change.after, change.is_asked)
        for change in compare_records(records(before, after))
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (file("m"), file("m"), None),
        (file("m"), file("m", NEW), ("checkpoint m", "sha256 aaaaaaaaaaaa", "sha256 bbbbbbbbbbbb")),
        (file("x", kind="lora"), file("x", NEW, "lora"), ("LoRA x", "sha256 aaaaaaaaaaaa", "sha256 bbbbbbbbbbbb")),
        (file("m", None, size_bytes=5), file("m", size_bytes=7), ("checkpoint m", "5 bytes", "7 bytes")),
        (file("m", "pending", size_bytes=5), file("m", None, size_bytes=7), ("checkpoint m", "5 bytes", "7 bytes")),
    ],
)  # fmt: skip
def test_a_file_changed_where_its_hash_or_else_its_size_did(before, after, expected):
    assert compare(models(before), models(after)) == ([("file", *expected)] if expected else [], [])


@pytest.mark.parametrize(
    ("before", "after"),
    [(file("m", None), file("m")), (file("m", "pending"), file("m")), (file("m", None, size_bytes=5),) * 2],
)
def test_of_a_file_without_a_hash_it_is_not_known_whether_it_changed(before, after):
    unknown = "whether m holds the same bytes: its hash is not known of both runs"
    assert compare(models(before), models(after)) == ([], [unknown])


def test_a_file_that_only_one_run_used_is_named_with_what_is_known_of_it():
    changes, unknown = compare(models(file("old"), file("late", "pending", "vae")), models(file("new", NEW, None)))
    assert changes == [
        ("file", "checkpoint old", "sha256 aaaaaaaaaaaa", None),
        ("file", "VAE late", "used", None),
        ("file", "file new", None, "sha256 bbbbbbbbbbbb"),
    ]
    assert unknown == []


def test_two_files_of_one_name_are_two_where_they_are_of_another_kind():
    both = models(file("x", kind="lora"), file("x", kind="vae"))
    changes, _ = compare(both, models(file("x", kind="lora"), file("x", NEW, "vae")))
    assert [name for _, name, _, _ in changes] == ["VAE x"]


def test_files_of_one_model_that_were_swapped_together_are_one_change():
    names = ["sd/unet/model.safetensors", "sd/vae/model.safetensors"]
    before, after = (models(*(file(name, sha256) for name in names)) for sha256 in (OLD, NEW))
    assert compare(before, after)[0] == [
        ("file", "checkpoint sd (2 files)", "sha256 aaaaaaaaaaaa, aaaaaaaaaaaa", "sha256 bbbbbbbbbbbb, bbbbbbbbbbbb")
    ]
    mixed = [models(file(names[0], one), file(names[1], one, "vae")) for one in (OLD, NEW)]
    assert compare(*mixed)[0][0][1] == "checkpoint sd (2 files)"
    of_kind = [models(file(names[0], one, "vae"), file(names[1], one, "vae")) for one in (OLD, NEW)]
    assert compare(*of_kind)[0][0][1] == "VAE sd (2 files)"


def test_two_models_that_were_swapped_are_two_changes():
    before, after = (models(file("sd", sha256), file("xl", sha256)) for sha256 in (OLD, NEW))
    assert [name for _, name, _, _ in compare(before, after)[0]] == ["checkpoint sd", "checkpoint xl"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (WHOLE, WHOLE | {"torch": "2.9.0"}, [("version", "torch", "2.8.0", "2.9.0")]),
        (WHOLE, WHOLE | {"xformers": "0.1"}, [("version", "xformers", None, "0.1")]),
        (WHOLE | {"xformers": "0.1"}, WHOLE, [("version", "xformers", "0.1", None)]),
        ({"webui": "1.9"}, {"webui": "1.10", "python": "3.12"}, [("version", "webui", "1.9", "1.10")]),
        (WHOLE, {"webui": "1.10"}, []),
        ({}, {"python": "3.12"}, []),
    ],
)
def test_a_library_that_is_not_named_was_not_there_only_where_all_are_listed(before, after, expected):
    assert compare({"versions": before}, {"versions": after})[0] == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"commit": "a" * 40}, {"commit": "b" * 40}, ("commit aaaaaaaaaaaa", "commit bbbbbbbbbbbb")),
        ({"version": "1.0"}, {"version": "1.1"}, ("1.0", "1.1")),
        ({}, {"version": "1.1"}, ("there", "1.1")),
        ({"commit": "a" * 40, "version": "1"}, {"commit": "a" * 40, "version": "2"}, None),
    ],
)
def test_an_extension_changed_where_its_commit_or_else_its_version_did(before, after, expected):
    pair = ({"custom_nodes": [{"name": "impact"} | fields], "versions": WHOLE} for fields in (before, after))
    assert compare(*pair)[0] == ([("custom_node", "extension impact", *expected)] if expected else [])


def test_an_extension_that_came_is_a_change_where_all_are_listed():
    with_it = {"custom_nodes": [{"name": "impact", "version": "1"}], "versions": WHOLE}
    without = {"custom_nodes": [], "versions": WHOLE}
    assert compare(without, with_it)[0] == [("custom_node", "extension impact", None, "1")]
    assert compare({"custom_nodes": []}, {"custom_nodes": with_it["custom_nodes"]})[0] == []


def test_a_run_that_names_no_extension_had_none_where_all_are_listed():
    named = {"custom_nodes": [{"name": "impact", "version": "1"}], "versions": WHOLE}
    silent = {"versions": WHOLE}
    assert compare(silent, named)[0] == [("custom_node", "extension impact", None, "1")]
    assert compare(named, silent)[0] == [("custom_node", "extension impact", "1", None)]
    assert compare(silent, silent) == ([], [])


def test_machines_differ_in_what_both_say():
    before = {"device": "cpu", "dtype": "float32", "flags": ["--medvram", "attention=A", "--precision full"]}
    after = {"device": "cuda:0", "flags": ["--medvram", "attention=B", "--precision half"]}
    assert compare(before, after)[0] == [
        ("device", "device", "cpu", "cuda:0"), ("flag", "attention", "A", "B"), ("flag", "--precision", "full", "half"),
    ]  # fmt: skip


def test_a_flag_that_came_is_a_change_where_all_are_listed():
    before, after = {"flags": [], "versions": WHOLE}, {"flags": ["--no-half"], "versions": WHOLE}
    assert compare(before, after)[0] == [("flag", "--no-half", None, "given")]


def test_equal_closures_have_no_changes():
    whole = closure(
        **models(file("m")), versions=WHOLE, custom_nodes=[{"name": "x", "version": "1"}], device="cpu",
        dtype="float32", flags=["--medvram"],
    )  # fmt: skip
    assert compare_closures(whole, whole) == ([], [])


def test_a_prompt_that_changed_was_asked_for():
    before = {"prompt": {"positive": "a pier", "negative": "fog"}}
    after = {"prompt": {"positive": "a quay"}}
    assert settings(before, after) == [
        ("positive prompt", "a pier", "a quay", True), ("negative prompt", "fog", "", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ran", "expected"),
    [
        (({"steps": 20}, {"steps": 25}), [("Steps", "20", "25", False)]),
        (({"steps": 20, "device": "cpu"}, {"steps": 20, "device": "cuda"}), []),
        (({"tiling": True}, {}), [("tiling", "True", None, False)]),
        (
            ({"scheduler_config": {"beta": 1, "kind": "x"}}, {"scheduler_config": {"beta": 2, "kind": "x"}}),
            [("scheduler config", "beta 1", "beta 2", False)],
        ),
        (
            (
                {"generation_params": {"Tiling": "2", "Steps": "4"}},
                {"generation_params": {"Tiling": "3"}},
            ),
            [("Tiling", "2", "3", False)],
        ),
    ],
)
def test_what_ran_differently_is_named_as_people_call_it(ran, expected):
    before, after = ({"requested": {}, "actual": actual} for actual in ran)
    assert settings(before, after) == expected


def test_what_was_asked_for_differently_is_marked_and_told_by_what_ran():
    before = {"requested": {"sampler": "Euler"}, "actual": {"sampler": "Euler"}}
    after = {"requested": {"sampler": "DDIM"}, "actual": {"sampler": "DPM++ 2M"}}
    assert settings(before, after) == [("Sampler", "Euler", "DPM++ 2M", True)]


def test_what_was_asked_for_counts_where_nothing_says_what_ran_but_for_the_seed():
    before = {"requested": {"steps": 20, "seed": 1, "extra": {"tiling": False}}}
    after = {"requested": {"steps": 25, "seed": 2, "extra": {"tiling": True}}}
    pair = tuple(without_actual(record(**one)) for one in (before, after))
    found = [(change.name, change.before, change.after) for change in compare_records([pair])]
    assert found == [("Steps", "20", "25"), ("extra.tiling", "False", "True")]


def without_actual(whole):
    """The record of a program that does not say what ran."""
    fields = whole.to_dict()
    del fields["actual"]
    return LearningRecord.from_dict(fields)


def test_a_change_that_many_variants_have_is_told_once():
    pair = records({"actual": {"steps": 20}}, {"actual": {"steps": 25}})
    assert len(compare_records(pair * 3)) == 1


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("2.8", "2.9", "torch: 2.8 then, 2.9 now"),
        (None, "2.9", "torch: not there then, 2.9 now"),
        ("2.8", None, "torch: 2.8 then, not there now"),
        ("x" * 60, "y" * 61, f"torch: {'x' * 60} then, {'y' * 59}… now"),
    ],
)
def test_a_change_is_told_in_words(before, after, words):
    assert Change("version", "torch", before, after).describe() == words
    asked = Change("version", "torch", before, after, is_asked=True)
    assert asked.to_dict()["text"] == f"{words} (as asked)"


def names_of(closures, before, after):
    found = find_changes(tuple(closure(**fields) for fields in closures), records(before, after))
    return [change.name for change in found.found]


def test_another_model_by_name_explains_its_other_file():
    closures = (models(file("old")), models(file("new", NEW), file("x", kind="lora")))
    ran = [{"actual": {"model": name}} for name in ("old", "new")]
    assert names_of(closures, *ran) == ["LoRA x", "Model"]


def test_the_same_name_with_other_bytes_is_told_beside_another_model():
    closures = (models(file("m")), models(file("m", NEW)))
    ran = [{"actual": {"model": name}} for name in ("old", "new")]
    assert names_of(closures, *ran) == ["checkpoint m", "Model"]


def test_what_the_closure_says_is_not_told_again_from_the_settings():
    closures = ({"dtype": "float16"}, {"dtype": "float32"})
    asked = [{"requested": {"extra": {"dtype": dtype}}, "actual": {}} for dtype in ("float16", "float32")]
    assert names_of(closures, *asked) == ["dtype"]
    assert names_of(({}, {}), *asked) == ["extra.dtype"]
