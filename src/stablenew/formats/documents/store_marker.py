"""StoreMarker: `.stablenew/store.json`, which says that a folder is a run store."""

from typing import ClassVar, Literal

from stablenew.formats.model_base import SCHEMA_VERSION, Document, JsonObject, SchemaVersion


class StoreMarker(Document):
    """The same bytes on every machine, so that no sync tool ever sees a conflict."""

    KIND: ClassVar[str] = "stablenew.store"

    kind: Literal["stablenew.store"] = "stablenew.store"
    schema_version: SchemaVersion = SCHEMA_VERSION
    ext: JsonObject | None = None
