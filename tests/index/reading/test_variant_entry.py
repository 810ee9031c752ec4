"""What the index keeps of a record: settings as they ran, whatever programs call them and however odd they are."""

import pytest

from stablenew.errors import FormatError
from stablenew.formats.settings import INDEXED
from stablenew.index.reading.run_entry import milliseconds_of, milliseconds_of_id, pack_label
from stablenew.index.reading.variant_entry import MAX_OTHER_SETTINGS, MAX_TEXT, build_variant_entry
from stablenew.store.feedback.fast_feedback_reader import NeedsStrictReader
from tests import samples

NAMES = [setting.name for setting in INDEXED]


def entry_of(requested=None, actual=None, **fields):
    document = samples.record(**fields).to_dict()
    document |= {"requested": requested or {}, "actual": actual}
    return build_variant_entry(document)


def columns(entry):
    """The settings with a column that are known."""
    return {name: value for name, value in zip(NAMES, entry.settings, strict=True) if value is not None}


@pytest.mark.parametrize(
    ("requested", "actual", "kept", "others"),
    [
        ({"steps": 20}, None, {"steps": 20}, {}),
        ({"steps": 20, "cfg_scale": 7.0}, {"steps": 25}, {"steps": 25, "cfg_scale": 7.0}, {}),
        ({"steps": 20}, {"steps": None}, {"steps": 20}, {}),
        ({"cfg": 5.5}, {}, {"cfg_scale": 5.5}, {}),
        ({"Sampling steps": 9}, {}, {"steps": 9}, {}),
        ({"steps": 20}, {"num_inference_steps": 30}, {"steps": 30}, {}),
        ({"cfg_scale": 7, "guidance_scale": 3}, {}, {"cfg_scale": 7}, {}),
        ({"s_churn": 0.5, "a": "x"}, {"s_churn": 2}, {}, {"a": "x", "s_churn": 2}),
        ({"cfg": "high"}, {}, {}, {"cfg_scale": "high"}),
        ({"noise_seed": "12"}, {}, {"seed": 12}, {}),
        ({"Steps": True}, {}, {}, {"steps": "true"}),
        ({"model_hash": "ab"}, {}, {}, {"model_hash": "ab"}),
    ],
)
def test_settings_are_kept_under_their_standard_names_as_they_really_ran(requested, actual, kept, others):
    entry = entry_of(requested, actual)
    assert columns(entry) == kept
    assert dict(entry.other_settings) == others


@pytest.mark.parametrize(
    ("seed", "kept"), [(7, 7), (-1, None), (None, None), ("18446744073709551615", 2**64 - 1), (0, 0), (-5, -5)]
)
def test_a_seed_is_an_integer_and_minus_one_is_none(seed, kept):
    assert entry_of({"seed": seed}).seed == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (True, "true"), (False, "false"), (7, 7), (2**60, str(2**60)), (0.5, 0.5), (float("inf"), None),
        (float("nan"), None), ("x" * 2_000, "x" * MAX_TEXT), ([1], None), ({}, None), ("", ""), (None, None),
    ],
)  # fmt: skip
def test_of_a_setting_without_a_column_scalars_are_kept_as_sqlite_stores_them(value, kept):
    assert dict(entry_of({"own": value}).other_settings).get("own") == kept


@pytest.mark.parametrize("name", ["", "a b", "a\n", "x" * 129, "\0", "a\x7f"])
def test_a_name_that_no_query_could_find_is_left_out(name):
    assert entry_of({name: 1, "fine": 2}).other_settings == (("fine", 2),)


def test_of_endless_settings_the_first_by_name_are_kept():
    kept = entry_of({f"own{number:03}": number for number in range(300)}).other_settings
    assert len(kept) == MAX_OTHER_SETTINGS
    assert list(kept) == sorted(kept)
    assert kept[0] == ("own000", 0)


def test_what_a_variant_overrode_beside_settings_is_a_setting_of_its_own():
    overrides = {"txt2img.steps": 30, "txt2img.hr_scale": 2, "upscale.upscaler": "x", "plain": 1}
    entry = entry_of({"steps": 30}, variant={"index": 0, "total": 1, "overrides": overrides})
    assert dict(entry.other_settings) == {"txt2img.hr_scale": 2, "upscale.upscaler": "x"}


def outputs(*roles):
    made = [samples.digest_of(number) for number in range(len(roles))]
    return [
        {"path": f"outputs/{place}.png", "digest": digest, "size_bytes": 5, "media_type": "image/png",
         "stage": "txt2img", **({"role": role} if role else {})}
        for place, (digest, role) in enumerate(zip(made, roles, strict=True))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("roles", "finals"),
    [(("intermediate", "final"), [1]), ((None, None), [0, 1]), (("intermediate",), [0]), (("final", "final"), [0, 1])],
)
def test_final_outputs_are_those_that_say_so_or_all_where_none_does(roles, finals):
    document = samples.record().to_dict() | {"outputs": outputs(*roles)}
    entry = build_variant_entry(document)
    assert [output.digest for output in entry.outputs] == [samples.digest_of(place) for place in finals]
    assert len(entry.output_sizes) == len(roles)


def test_a_score_of_a_variant_is_one_of_each_final_image():
    document = samples.record().to_dict() | {"outputs": outputs("intermediate", "final", "final")}
    document["metrics"] = [
        {"metric": "x", "value": 1.5},
        {"metric": "y", "value": 2, "image_id": samples.digest_of(0)},
        7,
    ]
    found = [(score.image, score.name, score.value) for score in build_variant_entry(document).scores]
    expected = [(samples.digest_of(place), "metric.x", 1.5) for place in (1, 2)] + [
        (samples.digest_of(0), "metric.y", 2)
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        ({"finished_at": "2026-11-22T00:00:00.000Z"}, None),
        ({"finished_at": "2026-11-22T00:00:00.000Z", "reconstructed": {"tool": "x"}}, 1_795_305_600_000),
        ({"reconstructed": {"tool": "x"}, "finished_at": None}, None),
    ],
)
def test_only_an_image_that_was_recorded_later_has_a_time_of_its_own(fields, made):
    assert build_variant_entry(samples.record().to_dict() | fields).made_ms == made


def test_what_a_prompt_names_is_kept():
    prompt = {
        "positive": "a quay", "negative": None, "loras": [{"name": "ink", "weight": 1}], "embeddings": ["fine"],
        "pack_id": "p", "pack_name": "Pack",
    }  # fmt: skip
    entry = build_variant_entry(samples.record().to_dict() | {"prompt": prompt})
    assert (entry.prompt, entry.negative, entry.loras, entry.embeddings) == ("a quay", None, ("ink",), ("fine",))
    assert entry.pack == "Pack\0p"


# Times and packs


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("1970-01-01T00:00:00.000Z", None), ("2026-11-22T00:00:00.123Z", 1_795_305_600_123),
        ("1000-01-01T00:00:00.000Z", -30_610_224_000_000), ("2999-12-31T23:59:59.999Z", 32_503_679_999_999),
    ],
)  # fmt: skip
def test_a_timestamp_is_counted_in_milliseconds(timestamp, expected):
    assert milliseconds_of(timestamp) == (expected or 0)


NO_TIMES = ["", "2026-11-22", "2026-11-22T00:00:00Z", "2026-02-30T00:00:00.000Z", "2026-11-22T24:00:00.000Z"]


@pytest.mark.parametrize("text", [*NO_TIMES, "0999-01-01T00:00:00.000Z"])
def test_another_text_is_left_to_the_strict_reader(text):
    with pytest.raises((NeedsStrictReader, FormatError)):
        milliseconds_of(text)


@pytest.mark.parametrize(
    ("run_id", "expected"),
    [
        ("20261122-000000-123-aaaaaaaaaa", 1_795_305_600_123),
        ("my-run", 0),
        ("20261332-000000-123-aaaaaaaaaa", 0),
        ("", 0),
    ],
)
def test_a_generated_run_id_tells_when_it_was_made_and_another_nothing(run_id, expected):
    assert milliseconds_of_id(run_id) == expected


@pytest.mark.parametrize(
    ("pack_id", "name", "label"),
    [("p", "Pack", "Pack\0p"), ("p", None, "p\0p"), (None, "Pack", "Pack\0Pack"), (None, None, None), ("", "", None)],
)
def test_a_pack_is_found_by_its_name_and_id(pack_id, name, label):
    assert pack_label(pack_id, name) == label
