"""AppConfig: the application's settings, from defaults, the config file and the environment, in rising order.

The file is JSON in the user's config folder; `STABLENEW_CONFIG_DIR` names another folder. Each setting can be given by
an environment variable `STABLENEW_<NAME>` as well; then the file is left alone.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stablenew.disk.atomic_file import replace_file
from stablenew.disk.private_folder import make_private_folder
from stablenew.errors import ConfigError, FormatError
from stablenew.formats.strict_json import encode_pretty_json, parse_json

CONFIG_VARIABLE: Final = "STABLENEW_CONFIG_DIR"
FILE_NAME: Final = "config.json"
_TRUE: Final = {"1", "true", "yes", "on"}
_MOST_DIGITS: Final = 9
_FALSE: Final = {"0", "false", "no", "off"}

DEFAULTS: Final[dict[str, Any]] = {
    "learning_enabled": False,
    "runs_dir": "runs",
    "engine": "sketch",
    "engine_url": "",
    "rater": "",
    "recent_jobs": 500,
    "packs_dir": "packs",
}
"""Every setting with its default. Recording is opt-in."""

DESCRIPTIONS: Final[dict[str, str]] = {
    "learning_enabled": "record runs into the run store",
    "runs_dir": "the run store that commands use",
    "engine": "the engine that makes images",
    "engine_url": "where that engine's server is",
    "rater": "the name your ratings are kept under",
    "recent_jobs": "how many jobs the list of recent ones holds; searches see all",
    "packs_dir": "the folder of prompt packs that the web page offers",
}


def config_path() -> Path:
    """Where the config file is, or would be."""
    configured = os.environ.get(CONFIG_VARIABLE)
    if configured:
        return Path(configured) / FILE_NAME
    import platformdirs  # noqa: PLC0415

    return Path(platformdirs.user_config_dir("stablenew", appauthor=False)) / FILE_NAME


@dataclass(slots=True)
class AppConfig:
    """The settings in force. `set` keeps a new value in the file."""

    path: Path = field(default_factory=config_path)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def get(self, name: str) -> Any:
        """The value of a setting.

        Raises:
            ConfigError: there is no such setting, or the file or the environment holds nonsense for it.
        """
        _check_name(name)
        variable = f"STABLENEW_{name.upper()}"
        if variable in self.environment:
            return _parse(name, self.environment[variable], variable)
        value = read_settings_file(self.path).get(name, DEFAULTS[name])
        if type(value) is not type(DEFAULTS[name]):
            raise ConfigError(f"{self.path}: expected {name} to be {_expected(name)}, found {value!r}")
        return value

    def set(self, name: str, value: Any) -> Any:
        """Keep a value for a setting, and give it as it was understood. Other settings stay as they are.

        Raises:
            ConfigError: there is no such setting, or the value does not fit; nothing is changed.
            WriteFailed: the file could not be written; it is unharmed.
        """
        _check_name(name)
        parsed = _parse(name, value, name) if isinstance(value, str) else value
        if type(parsed) is not type(DEFAULTS[name]):
            raise ConfigError(f"expected {name} to be {_expected(name)}, found {value!r}")
        values = read_settings_file(self.path) | {name: parsed}
        make_private_folder(self.path.parent)
        replace_file(self.path, encode_pretty_json(values))
        return parsed

    @property
    def learning_enabled(self) -> bool:
        """Whether runs are recorded. Off until the user turns it on."""
        return bool(self.get("learning_enabled"))

    @learning_enabled.setter
    def learning_enabled(self, value: bool) -> None:
        self.set("learning_enabled", value)


def read_settings_file(path: Path) -> dict[str, Any]:
    """The JSON object in one of the user's own files; none is an empty one.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    try:
        value = parse_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (FormatError, OSError) as error:
        raise ConfigError(f"{path}: {error}; mend or remove the file") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a JSON object, found {type(value).__name__}; mend or remove the file")
    return value


def _check_name(name: str) -> None:
    if name not in DEFAULTS:
        raise ConfigError(f"no setting {name!r}; there are {', '.join(DEFAULTS)}")


def _parse(name: str, text: str, where: str) -> Any:
    kind, word = type(DEFAULTS[name]), text.strip().lower()
    if kind is bool and word in _TRUE | _FALSE:
        return word in _TRUE
    if kind is int and word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS:
        return int(word)
    if kind is str:
        return text
    raise ConfigError(f"expected {where} to be {_expected(name)}, found {text!r}")


def _expected(name: str) -> str:
    return {bool: "true or false", int: "a whole number"}.get(type(DEFAULTS[name]), "a text")
