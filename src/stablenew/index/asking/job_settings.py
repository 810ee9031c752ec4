"""The settings of a whole job: what all of its images share, and what varies among them."""

import json
from typing import Any, Final

from stablenew.formats.settings import INDEXED
from stablenew.index.asking.index_reader import IndexReader

_SHOWN: Final = ("model", "sampler", "steps", "cfg_scale")
"""Settings that are shown although they do not vary."""
_MOST_VALUES: Final = 4
_COLUMNS: Final = {
    setting: f"coalesce(nullif(p.{setting.name}, 0), v.{setting.name})"
    if setting.name in ("width", "height")
    else f"v.{setting.name}"
    for setting in INDEXED
    if setting.type != "seed"
}
_SELECT: Final = (
    f"SELECT {', '.join(f'json_group_array(DISTINCT {column})' for column in _COLUMNS.values())} FROM variant v "
    "LEFT JOIN place p ON p.run = v.run AND p.position = v.position WHERE v.run = ?"
)

JobSettings = dict[str, dict[str, Any]]
"""By name: the first `values`, and the `count` of them all."""


def read_job_settings(reader: IndexReader, identifier: int) -> JobSettings:
    """The settings of a run that people look for, and those that vary; seeds are left out."""
    settings: JobSettings = {}
    for row in reader.fetch(_SELECT, (identifier,)):
        for setting, listed in zip(_COLUMNS, row, strict=True):
            values = sorted(value for value in json.loads(listed) if value is not None and value >= 0)
            if len(values) > 1 or (values and setting.name in _SHOWN):
                shown = values[:_MOST_VALUES]
                texts = [reader.name(value) if setting.type == "text" else round(float(value), 5) for value in shown]
                settings[setting.name] = {"values": texts, "count": len(values)}
    return settings
