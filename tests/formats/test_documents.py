"""Every kind of document: round trips, examples, what survives, what is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.errors import FormatError, InvalidDocument, NewerFormat
from stablenew.formats.documents.feedback import FeedbackEvent
from stablenew.formats.documents.learning_record import GenerationSettings, LearningRecord
from stablenew.formats.documents.run_metadata import RunMetadata
from stablenew.formats.schema_catalog import DOCUMENTS
from stablenew.formats.strict_json import parse_json
from tests.samples import metadata, record
from tests.strategies import json_objects, json_values

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples" / "v1.0"
VALID = sorted((EXAMPLES / "valid").glob("*.json"))
INVALID = sorted((EXAMPLES / "invalid").glob("*.json"))


def model_of(path):
    name = path.name.partition(".")[0]
    return DOCUMENTS.get(name, FeedbackEvent)


def read(path):
    model = model_of(path)
    return (
        model.model_validate(parse_json(path.read_bytes()))
        if model is FeedbackEvent
        else model.from_json(path.read_bytes())
    )


def test_every_kind_has_examples_of_both_sorts():
    for folder in (VALID, INVALID):
        assert {path.name.partition(".")[0] for path in folder} >= {*DOCUMENTS, "feedback_event"}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_valid_examples_read_and_write_back_equal(path):
    assert read(path).to_dict() == json.loads(path.read_bytes())


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.name)
def test_invalid_examples_are_refused(path):
    with pytest.raises(ValueError):
        read(path)


def test_golden_record_line_never_changes():
    golden = (EXAMPLES / "valid" / "learning_record.full.json").read_bytes()
    line = LearningRecord.from_json(golden).to_json()
    assert line == json.dumps(json.loads(golden), ensure_ascii=False, separators=(",", ":"))


@given(json_objects)
def test_unknown_fields_survive_at_every_level(extra):
    extra = {f"x_{key}": value for key, value in extra.items()}
    value = record().to_dict() | extra
    value["variant"] = value["variant"] | extra
    value["prompt"] = value["prompt"] | extra
    assert LearningRecord.from_dict(value).to_dict() == value
    again = LearningRecord.from_json(LearningRecord.from_dict(value).to_json())
    assert again.to_dict() == value


@given(json_values)
def test_any_json_value_gives_a_document_or_our_error(value):
    for model in DOCUMENTS.values():
        with pytest.raises(FormatError):
            model.from_dict(value)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_give_our_error(data):
    for model in DOCUMENTS.values():
        with pytest.raises(FormatError):
            model.from_json(data)


def test_a_later_minor_version_is_read_and_a_later_major_is_not():
    assert RunMetadata.from_dict(metadata().to_dict() | {"schema_version": "1.9"}).schema_version == "1.9"
    with pytest.raises(NewerFormat, match="update StableNew"):
        RunMetadata.from_dict(metadata().to_dict() | {"schema_version": "2.0"})


@pytest.mark.parametrize("version", ["1", "1.0\n", "1.01", "0.9", "x.y", 1, None, "1.٣", "²2.0"])
def test_a_version_that_is_none_is_refused(version):
    with pytest.raises(FormatError):
        RunMetadata.from_dict(metadata().to_dict() | {"schema_version": version})


def test_an_error_names_the_field_and_what_was_found():
    with pytest.raises(InvalidDocument, match=r"created_at: .*\(found '2026-02-30T00:00:00.000Z'\)"):
        metadata(created_at="2026-02-30T00:00:00.000Z")


@pytest.mark.parametrize(
    "stamp",
    ["2024-02-29T00:00:00.000Z", "2000-02-29T23:59:59.999Z", "1999-12-31T23:59:59.000Z", "2400-02-29T00:00:00.000Z"],
)
def test_real_days_are_taken(stamp):
    assert metadata(created_at=stamp).created_at == stamp


@pytest.mark.parametrize(
    "stamp",
    [
        "2023-02-29T00:00:00.000Z",
        "1900-02-29T00:00:00.000Z",
        "2026-04-31T00:00:00.000Z",
        "2026-01-01T24:00:00.000Z",
        "2026-01-01T00:00:60.000Z",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.000+00:00",
        "2026-01-01T00:00:00.000Z\n",
        "2026-01-01 00:00:00.000Z",
        "٢٠٢٦-01-01T00:00:00.000Z",
    ],
)
def test_times_that_are_none_are_refused(stamp):
    with pytest.raises(InvalidDocument):
        metadata(created_at=stamp)


@pytest.mark.parametrize("seed", [0, -1, 2**53 - 1, 2**53, 2**64 - 1])
def test_seeds_of_any_size_survive(seed):
    settings = GenerationSettings(seed=seed)
    written = settings.to_dict()["seed"]
    assert isinstance(written, str) == (seed > 2**53 - 1)
    assert GenerationSettings.model_validate({"seed": written}).seed == seed


@pytest.mark.parametrize("seed", ["12", "0123456789012345678", "1e20", " 9007199254740993", 1.5, True])
def test_seeds_that_are_none_are_refused(seed):
    with pytest.raises(ValueError):
        GenerationSettings.model_validate({"seed": seed})


def test_a_document_shares_nothing_with_whoever_built_it():
    config = {"txt2img": {"styles": ["a"]}}
    one = metadata(config=config)
    config["txt2img"]["styles"].append("b")
    assert one.config == {"txt2img": {"styles": ["a"]}}


def test_documents_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        metadata().status = "completed"


def test_nan_cannot_be_smuggled_in_from_python():
    with pytest.raises(ValueError):
        GenerationSettings(cfg_scale=float("nan"))
    with pytest.raises(ValueError):
        GenerationSettings(my_setting=float("nan"))


def test_a_record_from_plain_mappings():
    one = LearningRecord.from_pipeline_context(
        {"prompt": "a lake", "steps": 20, "cfg_scale": 7, "my_setting": {1, 2}},
        {"run_id": "mine", "started_at": "2026-11-21T07:10:09.123Z"},
    )
    assert (one.prompt.positive, one.requested.steps, one.requested.to_dict()["my_setting"]) == ("a lake", 20, [1, 2])
    assert LearningRecord.from_json(one.to_json()) == one


def test_a_record_from_mappings_that_do_not_fit_says_why():
    with pytest.raises(InvalidDocument, match="run_id: missing"):
        LearningRecord.from_pipeline_context({}, {})
