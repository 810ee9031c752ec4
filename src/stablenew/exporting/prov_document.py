"""A run as W3C PROV in JSON: who made which image with what, from which. Pure: documents in, JSON out."""

from collections.abc import Sequence
from typing import Any, Final

from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.run_metadata import RunMetadata

_PREFIXES: Final = {
    "image": "urn:xxh128:",
    "run": "urn:stablenew:run:",
    "sn": "https://stablenew.example/terms/",
    "prov": "http://www.w3.org/ns/prov#",
}


class _Document:
    """PROV-JSON that is being built: statements by kind and id."""

    def __init__(self) -> None:
        self.statements: dict[str, dict[str, dict[str, Any]]] = {}

    def declare(self, kind: str, identifier: str, **attributes: Any) -> str:
        """Say that something is there; what is said twice stands once. Returns its id."""
        given = {name: value for name, value in attributes.items() if value is not None}
        self.statements.setdefault(kind, {}).setdefault(identifier, {}).update(given)
        return identifier

    def relate(self, kind: str, **ends: str) -> None:
        """Say how two things are related."""
        known = self.statements.setdefault(kind, {})
        known[f"_:{kind}{len(known)}"] = {f"prov:{name}": end for name, end in ends.items()}


def build_prov(metadata: RunMetadata, records: Sequence[LearningRecord]) -> dict[str, Any]:
    """The PROV-JSON document of a run: an activity for each variant, an entity for each image and model."""
    document = _Document()
    run, source = f"run:{metadata.run_id}", metadata.source
    person = document.declare("agent", f"{run}/person", **{"prov:type": "prov:Person", "sn:name": source.user_id})
    software = {"prov:type": "prov:SoftwareAgent", "sn:name": source.engine or source.name}
    engine = document.declare("agent", f"{run}/engine", **software, **{"sn:version": source.engine_version})
    models = [
        document.declare("entity", f"{run}/model/{number}", **{"sn:name": model.name, "sn:sha256": model.sha256})
        for number, model in enumerate((metadata.closure.models if metadata.closure else None) or ())
    ]
    for record in records:
        activity = f"{run}/variant/{record.variant.index}"
        times = {"prov:startTime": record.started_at, "prov:endTime": record.finished_at}
        said = {"sn:status": record.status, "sn:prompt": record.prompt.positive}
        document.declare("activity", activity, **{**times, **said, **_settings(record)})
        document.relate("wasAssociatedWith", activity=activity, agent=engine)
        document.relate("wasAssociatedWith", activity=activity, agent=person)
        for model in models:
            document.relate("used", activity=activity, entity=model)
        _add_outputs(document, record, activity)
    return {"prefix": _PREFIXES, **document.statements}


def _settings(record: LearningRecord) -> dict[str, Any]:
    """The settings as they ran; PROV-JSON takes texts, numbers and truths."""
    values = record.requested.to_dict() | (record.actual.to_dict() if record.actual else {})
    return {f"sn:{name}": value for name, value in values.items() if isinstance(value, (str, int, float, bool))}


def _add_outputs(document: _Document, record: LearningRecord, activity: str) -> None:
    own = {output.digest for output in record.outputs}
    for output in record.outputs:
        image = _image(output.digest)
        known = {"sn:mediaType": output.media_type, "sn:sizeBytes": output.size_bytes, "sn:sha256": output.sha256}
        document.declare("entity", image, **known, **{"sn:path": output.path})
        document.relate("wasGeneratedBy", entity=image, activity=activity)
        for parent in output.parents or ():
            document.declare("entity", _image(parent))
            document.relate("wasDerivedFrom", generatedEntity=image, usedEntity=_image(parent))
            if parent not in own:
                document.relate("used", activity=activity, entity=_image(parent))


def _image(digest: str) -> str:
    return f"image:{digest.partition(':')[2]}"
