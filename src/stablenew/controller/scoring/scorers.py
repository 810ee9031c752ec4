"""Scorers by what the user calls them: a function in a file, in an installed module, of a package, or built in.

A file is that very file, and a module is one that is installed: nothing is ever taken from the current folder because
it happens to lie there.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

from stablenew.errors import ConfigError
from stablenew.formats.digest import digest_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

ENTRY_POINT_GROUP: Final = "stablenew.scorers"
_BUILT_IN: Final = ("sharpness", "contrast", "colourfulness")
_BUILT_IN_VERSION: Final = 1
"""Another number means other scores."""
_SHOWN_DIGITS: Final = 8

Score = Callable[["Image", Mapping[str, Any]], Any]
"""Takes a picture and what is known of it; returns a number, or numbers by name."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """A function that scores pictures."""

    identity: str
    """Program and version, as it stands beside each score: another version's scores do not compare."""
    metric: str
    """The name of a score that comes as a plain number."""
    score: Score


def scorer_names() -> list[str]:
    """The scorers that have a name: those built in, and those of installed packages."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


class _LoaderOfBytes(SourceFileLoader):
    """Runs the source that was hashed: Python's cache takes an edit of equal size in the same second for no edit."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  # of the class it extends
        return self.source_to_code(self._source, self.path)


def load_scorer(name: str) -> Scorer:
    """The scorer that `name` means: `FILE.py:function`, `module:function`, or one of `scorer_names`.

    A class is called once without arguments, and its object is the function: it can load a model.

    Raises:
        ConfigError: there is none, or loading it fails.
    """
    place, colon, function = name.rpartition(":")
    if colon and place.endswith(".py"):
        return _load_from_file(Path(place), function)
    if colon:
        return _load_from_module(place, function)
    if name in _BUILT_IN:
        from stablenew.controller.scoring import built_in  # noqa: PLC0415

        return Scorer(f"stablenew.{name} {_BUILT_IN_VERSION}", name, _as_score(getattr(built_in, name), name))
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return _load_entry_point(point)
    raise ConfigError(f"no scorer {name!r}; there are {', '.join(scorer_names())}, FILE.py:function, module:function")


def _load_from_file(path: Path, function: str) -> Scorer:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    loader = _LoaderOfBytes(f"stablenew_scorer_{path.stem}", str(path.absolute()), source)
    module = importlib.util.module_from_spec(ModuleSpec(loader.name, loader, origin=loader.path))
    module.__file__ = loader.path
    sys.modules[loader.name] = module
    with _installed_modules_only(), _explained(path):
        loader.exec_module(module)
    digits = digest_bytes(source).partition(":")[2][:_SHOWN_DIGITS]
    return _find(module, function, f"{path.name}:{function} {digits}", str(path))


def _load_from_module(place: str, function: str) -> Scorer:
    with _installed_modules_only(), _explained(place):
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name != place.partition(".")[0] and error.name != place:
                raise
            raise ConfigError(f"no module {place!r} is installed; a file is FILE.py:function") from None
    version = getattr(module, "__version__", None)
    return _find(module, function, f"{place}:{function}" + (f" {version}" if version else ""), place)


def _load_entry_point(point: EntryPoint) -> Scorer:
    with _installed_modules_only(), _explained(point.name):
        loaded = point.load()
    version = f" {point.dist.version}" if point.dist else ""
    return Scorer(f"{point.name}{version}", _slug(point.name), _as_score(loaded, point.name))


def _find(module: Any, function: str, identity: str, place: str) -> Scorer:
    found = getattr(module, function, None)
    if not callable(found):
        raise ConfigError(f"{place} has no function {function!r}")
    return Scorer(identity, _slug(function), _as_score(found, function))


def _as_score(found: Any, name: str) -> Score:
    """A function of picture and facts, from one that may want the picture alone."""
    if inspect.isclass(found):
        with _explained(name):
            found = found()
    function: Callable[..., Any] = found
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return lambda image, _facts: function(image)
    except ValueError:  # of a function in C nobody knows
        return lambda image, _facts: function(image)
    return function


def _slug(name: str) -> str:
    from stablenew.recording.odd_values import nearest_slug  # noqa: PLC0415

    return nearest_slug(name, "score")


@contextmanager
def _installed_modules_only() -> Iterator[None]:
    """Inside the block nothing is imported from the current folder."""
    here, before = Path.cwd(), sys.path[:]
    sys.path[:] = [place for place in before if place and Path(place).absolute() != here]
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _explained(what: object) -> Iterator[None]:
    """Whatever other people's code raises becomes one clear error."""
    try:
        yield
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # a scorer may raise anything
        raise ConfigError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
