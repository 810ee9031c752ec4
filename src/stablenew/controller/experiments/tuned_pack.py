"""The best settings known, as a prompt pack with a preset, which New run and `stablenew run` offer."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from stablenew.disk.atomic_file import write_once
from stablenew.errors import ConfigError
from stablenew.formats.pipeline_config import PipelineConfig
from stablenew.formats.strict_json import JsonValue, encode_pretty_json
from stablenew.pipeline.prompt_pack import Prompt

_NAME: Final = re.compile(r"[\w][\w .()-]{0,79}")


def save_tuned_pack(folder: Path, name: str, settings: Mapping[str, JsonValue], prompts: Sequence[Prompt]) -> Path:
    """The new pack in `folder`: these prompts, and the settings, by dotted name, as its preset.

    Raises:
        ConfigError: a setting does not exist or does not fit, the name is no file's, or a pack has it.
        WriteFailed: the disk would not take it.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"expected a name of letters, digits, spaces, dots and dashes for the pack, found {name!r}")
    PipelineConfig().with_overrides(dict(settings))
    path = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        write_once(path, encode_pretty_json(_describe(name, settings, prompts)))
    except FileExistsError:
        raise ConfigError(f"there is a pack {path.name} already; choose another name") from None
    return path


def _describe(name: str, settings: Mapping[str, JsonValue], prompts: Sequence[Prompt]) -> JsonValue:
    stages: dict[str, dict[str, JsonValue]] = {}
    for dotted, value in settings.items():
        stage, _, key = dotted.partition(".")
        stages.setdefault(stage, {})[key] = value
    slots: list[JsonValue] = [
        {"index": index, "text": prompt.positive, "negative": prompt.negative} for index, prompt in enumerate(prompts)
    ]
    return {"pack_data": {"name": name, "slots": slots}, "preset_data": dict(stages)}
