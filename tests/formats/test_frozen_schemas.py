"""Released schemas never change, and what they accept stays valid within their MAJOR."""

import copy
import hashlib
import json
import random
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.schema_catalog import SCHEMA_NAMES, build_schema, file_name
from stablenew.formats.strict_json import MAX_SAFE_INTEGER
from tests.mutations import mutated

SCHEMAS = Path(__file__).parents[2] / "schemas"
FROZEN = SCHEMAS / "frozen"
EXAMPLES = SCHEMAS / "examples" / "v1.0" / "valid"
RELEASED = {"v1.0": "be42a40d7f804301dda7b0ce46c6538ad12a7cef17df1438aa076c236cfe22a9"}
"""SHA-256 over names and bytes of the schemas of every released version. Lines are added, and never changed."""


def digest_of(folder):
    hashes = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        hashes.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hashes.hexdigest()


@pytest.mark.parametrize("version", RELEASED)
def test_released_schemas_do_not_change(version):
    assert digest_of(FROZEN / version) == RELEASED[version]


def test_every_released_version_is_guarded():
    assert {path.name for path in FROZEN.iterdir()} == RELEASED.keys()
    assert f"v{SCHEMA_VERSION}" in RELEASED


def test_a_changed_byte_is_noticed(tmp_path):
    (tmp_path / "a.schema.json").write_bytes((FROZEN / "v1.0" / "store.schema.json").read_bytes())
    before = digest_of(tmp_path)
    (tmp_path / "a.schema.json").write_bytes((tmp_path / "a.schema.json").read_bytes() + b" ")
    assert digest_of(tmp_path) != before


def properties_of(schema, place=""):
    """Every property by its place, with the schema that it has there."""
    for name, definition in [("", schema), *schema.get("$defs", {}).items()]:
        for field, value in definition.get("properties", {}).items():
            yield f"{place}{name}.{field}", value
        for field in definition.get("required", ()):
            yield f"{place}{name}.{field} is required", None


@pytest.mark.heavy
@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_the_schemas_of_today_have_all_that_the_released_ones_have(name):
    released = dict(properties_of(json.loads((FROZEN / "v1.0" / file_name(name)).read_bytes())))
    today = dict(properties_of(build_schema(name)))
    assert released.keys() <= today.keys()
    assert {place for place in today.keys() - released.keys() if "is required" in place} == set()


@pytest.mark.heavy
@pytest.mark.parametrize("name", [name for name in SCHEMA_NAMES if name != "records"])
def test_what_a_released_schema_accepts_is_still_accepted(name):
    released = Draft202012Validator(json.loads((FROZEN / "v1.0" / file_name(name)).read_bytes()))
    today = Draft202012Validator(build_schema(name))
    rng, accepted = random.Random(f"frozen {name}"), 0
    seeds = [json.loads(path.read_bytes()) for path in sorted(EXAMPLES.glob(f"{name}.*.json"))]
    for _ in range(300):
        document = mutated(copy.deepcopy(rng.choice(seeds)), rng)
        if released.is_valid(document):
            accepted += 1
            assert today.is_valid(document), json.dumps(document)
    assert accepted > 30
    assert MAX_SAFE_INTEGER == 2**53 - 1  # a bound of the released schemas


def test_documents_that_must_not_validate_do_not_validate_by_the_released_schemas_either():
    for path in sorted((SCHEMAS / "examples" / "v1.0" / "invalid").glob("*.json")):
        schema = json.loads((FROZEN / "v1.0" / file_name(path.name.partition(".")[0])).read_bytes())
        assert not Draft202012Validator(schema).is_valid(json.loads(path.read_bytes())), path.name
