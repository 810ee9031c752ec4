"""Engines by name: built in, or from any package that offers the entry point `stablenew.engines`."""

import inspect
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from stablenew.engines.engine import Engine
from stablenew.errors import ConfigError, UnknownEngine

ENTRY_POINT_GROUP: Final = "stablenew.engines"
_BUILT_IN: Final = {
    "comfyui": "stablenew.engines.comfyui.engine:ComfyUIEngine",
    "diffusers": "stablenew.engines.diffusers.engine:DiffusersEngine",
    "invokeai": "stablenew.engines.invokeai.engine:InvokeAIEngine",
    "sketch": "stablenew.engines.sketch:SketchEngine",
    "webui": "stablenew.engines.webui.engine:WebUIEngine",
}


def engine_names() -> list[str]:
    """Every engine that `open_engine` can open."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def describe_engines() -> list[dict[str, str]]:
    """Name and description of every engine, without asking any server."""
    return [{"name": name, "description": _describe(name)} for name in engine_names()]


def _describe(name: str) -> str:
    """The first line of what its class says of itself."""
    return (inspect.getdoc(_find_factory(name)) or "").partition("\n")[0].rstrip(".")


def open_engine(name: str, *, url: str | None = None) -> Engine:
    """The engine called `name`; `url` is the address of its server, where it is one.

    Raises:
        UnknownEngine: there is none; the message lists those there are.
        ConfigError: it is not a server, and a `url` was given.
    """
    factory = _find_factory(name)
    if not url:
        return factory()
    if not takes_url(name):
        raise ConfigError(f"the engine {name!r} is not a server; leave the url out")
    return factory(url=url)


def takes_url(name: str) -> bool:
    """Whether this engine is a server, which has an address.

    Raises:
        UnknownEngine: there is none of this name.
    """
    return "url" in inspect.signature(_find_factory(name)).parameters


def _find_factory(name: str) -> Callable[..., Engine]:
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        factory: Callable[..., Engine] = getattr(import_module(module), attribute)
        return factory
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        loaded: Callable[..., Engine] = point.load()
        return loaded
    raise UnknownEngine(f"no engine {name!r}; there are {', '.join(engine_names())}")
