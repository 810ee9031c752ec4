"""The published JSON Schemas: which there are, how they follow from the models, and where their files are.

Each is self-contained (2020-12, an absolute `$id`, only `#/$defs/` references): of seven layouts tried in seventeen
modes of validators, the one that resolves everywhere without a network.
"""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from stablenew.formats.documents.dataset_ledger import DatasetLedger
from stablenew.formats.documents.feedback import Feedback, FeedbackEvent
from stablenew.formats.documents.job_summary import JobSummary
from stablenew.formats.documents.learning_package import LearningPackage
from stablenew.formats.documents.learning_plan import LearningPlan
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.metric import MetricBatch
from stablenew.formats.documents.run_metadata import RunMetadata, StoreMarker
from stablenew.formats.model_base import Document
from stablenew.formats.strict_json import encode_pretty_json

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE_URI = "https://stablenew.example/schemas/v1/"
"""An identifier, not a place to fetch from: `.example` is reserved (RFC 2606) and nobody can take it over."""

DOCUMENTS: Final[dict[str, type[Document]]] = {
    "run_metadata": RunMetadata,
    "learning_record": LearningRecord,
    "feedback": Feedback,
    "metric_batch": MetricBatch,
    "store": StoreMarker,
    "job_summary": JobSummary,
    "dataset": DatasetLedger,
    "learning_plan": LearningPlan,
    "learning_package": LearningPackage,
}
"""Schema name of each kind of document."""

_MODELS: Final[dict[str, type[BaseModel]]] = {**DOCUMENTS, "feedback_event": FeedbackEvent}
_ARRAYS: Final = {"records": "learning_record"}
"""Array forms, for validators that cannot read JSON Lines."""

SCHEMA_NAMES: Final = (*_MODELS, *_ARRAYS)


def file_name(name: str) -> str:
    """The file name of a schema."""
    return f"{name}.schema.json"


def build_schema(name: str) -> dict[str, Any]:
    """The schema called `name`, from its model."""
    if name in _ARRAYS:
        return _array_of(name, build_schema(_ARRAYS[name]))
    model = _MODELS[name]
    body: dict[str, Any] = _tidy(model.model_json_schema(by_alias=True, mode="validation"))
    if issubclass(model, Document):
        body["required"] = ["kind", "schema_version", *body.get("required", ())]
    definitions = body.pop("$defs", None)
    head = {"$schema": DIALECT, "$id": BASE_URI + file_name(name), "title": model.__name__}
    return head | body | ({"$defs": definitions} if definitions else {})


def _array_of(name: str, item: dict[str, Any]) -> dict[str, Any]:
    definitions = {item["title"]: {k: v for k, v in item.items() if not k.startswith("$")}} | item.get("$defs", {})
    return {
        "$schema": DIALECT,
        "$id": BASE_URI + file_name(name),
        "title": "LearningRecords",
        "description": "The lines of a records.jsonl as one array, for validators that cannot read JSON Lines.",
        "type": "array",
        "items": {"$ref": f"#/$defs/{item['title']}"},
        "$defs": dict(sorted(definitions.items())),
    }


def _tidy(schema: Any) -> Any:
    """Without the titles and defaults that pydantic adds to every field, and with docstrings on one line."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy: dict[str, Any] = {}
    for key, value in schema.items():
        if key in {"title", "default"} and not isinstance(value, dict):
            continue
        if key == "additionalProperties" and value in ({}, True):
            continue
        if key == "properties":
            tidy[key] = {name: _tidy(item) for name, item in value.items()}
        elif key == "description":
            tidy[key] = " ".join(value.split())
        else:
            tidy[key] = _tidy(value)
    return tidy


def iter_schema_files() -> Iterator[tuple[str, bytes]]:
    """File name and bytes of every schema, built from the models."""
    for name in SCHEMA_NAMES:
        yield file_name(name), encode_pretty_json(build_schema(name))


def iter_published_schemas() -> Iterator[tuple[str, bytes]]:
    """File name and bytes of every schema as released: the same on every machine, whatever pydantic is installed."""
    folder = _published_folder()
    for name in SCHEMA_NAMES:
        yield file_name(name), (folder / file_name(name)).read_bytes()


def _published_folder() -> Any:
    packaged = resources.files("stablenew.formats") / "published" / "v1"
    if packaged.is_dir():
        return packaged
    return Path(__file__).parents[3] / "schemas" / "v1"  # an editable install reads the source tree
