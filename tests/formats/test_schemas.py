"""The published schemas: in step with the models, self-contained, and of one mind with our reader."""

import copy
import json
import random
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from stablenew.errors import FormatError
from stablenew.formats.documents.feedback import FeedbackEvent
from stablenew.formats.schema_catalog import (
    BASE_URI,
    DOCUMENTS,
    SCHEMA_NAMES,
    build_schema,
    iter_published_schemas,
    iter_schema_files,
)
from stablenew.formats.strict_json import parse_json
from tests.mutations import mutated
from tests.profiles import by_profile

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "schemas" / "examples" / "v1.0"
MUTATIONS_PER_KIND = by_profile(few=200, quick=900, ci=900, nightly=4_400)


@pytest.mark.heavy
def test_published_schemas_are_those_of_the_models():
    for name, data in iter_schema_files():
        assert (ROOT / "schemas" / "v1" / name).read_bytes() == data, f"run tools/write_schemas.py: {name}"
    assert dict(iter_published_schemas()).keys() == {path.name for path in (ROOT / "schemas" / "v1").glob("*.json")}


@pytest.mark.heavy
@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_schemas_are_valid_and_refer_to_nothing_outside(name):
    schema = build_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].startswith(BASE_URI)
    text = json.dumps(schema)
    references = [part.split('"')[0] for part in text.split('"$ref": "')[1:]]
    assert all(reference.startswith("#/$defs/") for reference in references)
    for keyword in ("prefixItems", "unevaluated", "dynamicRef", "discriminator", "\\\\d"):
        assert keyword not in text


@pytest.mark.heavy
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("valid/*.json")), ids=lambda path: path.name)
def test_valid_examples_fit_their_schema(path):
    errors = list(validator_for(path.name).iter_errors(json.loads(path.read_bytes())))
    assert errors == []


@pytest.mark.heavy
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("invalid/*.json")), ids=lambda path: path.name)
def test_invalid_examples_do_not_fit_their_schema(path):
    assert not validator_for(path.name).is_valid(json.loads(path.read_bytes()))


def validator_for(file_name):
    return Draft202012Validator(build_schema(file_name.partition(".")[0]))


def our_verdict(kind, value):
    try:
        if kind == "feedback_event":
            FeedbackEvent.model_validate(value)
        else:
            DOCUMENTS[kind].from_dict(value)
    except (FormatError, ValueError):
        return False
    return True


@pytest.mark.heavy
@pytest.mark.parametrize("kind", [*DOCUMENTS, "feedback_event"])
def test_our_reader_and_the_schema_agree_on_mutated_documents(kind):
    """More than 20,000 documents over all kinds in `nightly`; ajv judges as many whenever `.ci/run` runs."""
    rng = random.Random(f"agree {kind}")
    validator = Draft202012Validator(build_schema(kind))
    seeds = [json.loads(path.read_bytes()) for path in sorted((EXAMPLES / "valid").glob(f"{kind}.*.json"))]
    verdicts = {True: 0, False: 0}
    for _ in range(MUTATIONS_PER_KIND):
        value = mutated(copy.deepcopy(rng.choice(seeds)), rng)
        try:
            value = parse_json(json.dumps(value).encode())
        except FormatError:
            continue  # the gate that stands before every judge
        ours, theirs = our_verdict(kind, value), validator.is_valid(value)
        assert ours == theirs, json.dumps(value)
        verdicts[ours] += 1
        if ours:
            model = FeedbackEvent if kind == "feedback_event" else DOCUMENTS[kind]
            assert model.model_validate(value).to_dict() == value
    assert min(verdicts.values()) > MUTATIONS_PER_KIND // 20, verdicts
    assert sum(verdicts.values()) > MUTATIONS_PER_KIND * 0.9  # the rest did not get through the gate
