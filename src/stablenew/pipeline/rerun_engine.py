"""Which engine runs a run again: its own, at its own address, unless a person names another one.

Another engine gives other images, so one is never taken because the right one is missing.
"""

from typing import NamedTuple

from stablenew.engines.engine import Checkable
from stablenew.engines.engine_http import split_auth
from stablenew.engines.engine_registry import engine_names, open_engine, takes_url
from stablenew.errors import ConfigError, EngineError
from stablenew.formats.documents.run_metadata import RunMetadata


class EngineChoice(NamedTuple):
    """An engine by name, and the address of its server where it is one."""

    name: str
    url: str | None


def choose_engine_again(
    metadata: RunMetadata, *, engine: str | None = None, url: str | None = None, known_url: str | None = None
) -> EngineChoice:
    """The engine that runs this run again. `engine` and `url` are what a person says, `known_url` is the settings'.

    The address in a record has no password; where `known_url` is the same address, it gives name and password.

    Raises:
        ConfigError: the run does not say what would make its images again, or it is not here; the message says what.
    """
    source = metadata.source
    is_own = engine is None or engine == source.engine
    name = engine or _recorded_engine(metadata)
    if not takes_url(name):
        return EngineChoice(name, url)
    if url is None and is_own:
        url = _with_login(source.engine_url, known_url)
    if url is None and engine is None:
        raise ConfigError(
            f"run {metadata.run_id} does not say at which address its {name} was; say it: --url http://HOST:PORT"
        )
    return EngineChoice(name, url)


def _recorded_engine(metadata: RunMetadata) -> str:
    name = metadata.source.engine
    if metadata.variant_plan is None or name is None:
        maker = name or metadata.source.name
        raise ConfigError(
            f"run {metadata.run_id} was recorded from a pipeline of its own ({maker}), which cannot be started from "
            "here; to draw its prompts and settings with an engine, name one: --engine NAME"
        )
    if name not in engine_names():
        raise ConfigError(
            f"run {metadata.run_id} was made by the engine {name!r}, which is not installed here; "
            f"there are {', '.join(engine_names())}: --engine NAME draws its prompts and settings with another one"
        )
    return name


def _with_login(recorded: str | None, known: str | None) -> str | None:
    if recorded and known and split_auth(known)[0] == recorded:
        return known
    return recorded


def check_engine(choice: EngineChoice, run_id: str) -> None:
    """Do nothing, if the engine is there.

    Raises:
        ConfigError: an address for an engine that is not a server.
        EngineError: its server does not answer, or its libraries are missing; nothing was started.
    """
    opened = open_engine(choice.name, url=choice.url)
    if choice.url is None or not isinstance(opened, Checkable):
        return
    try:
        opened.check()
    except EngineError as error:
        raise EngineError(f"run {run_id} cannot run again as it did: {error}") from None
