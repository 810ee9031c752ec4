"""record: a function of your own that makes images, with every call recorded.

::

    @stablenew.record("runs")
    def draw(prompt, steps=30, seed=0):
        ...
        return image
"""

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar, cast, overload

from stablenew.diffusers_facts import seeds_of
from stablenew.formats.clock import SYSTEM_CLOCK
from stablenew.formats.settings import find_setting
from stablenew.recording.images.image_input import ImageInput, read_images
from stablenew.recording.run_recorder import RunRecorder
from stablenew.recording.side_channel import SideChannel, describe
from stablenew.store.run_store import RunStore

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
_Runs = RunRecorder | RunStore | Path | str

_TEXTS: Final = frozenset({"prompt", "negative_prompt"})
_INPUTS: Final = frozenset({"image", "init_image", "mask", "mask_image", "self", "cls"})
"""Arguments that are not settings, whatever they hold."""


@overload
def record(runs: Callable[Parameters, Result], /) -> Callable[Parameters, Result]: ...


@overload
def record(
    runs: _Runs = "runs", /, *, name: str | None = None, learning_tags: Sequence[str] = (), quiet: bool = False
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]: ...


def record(
    runs: Any = "runs", /, *, name: str | None = None, learning_tags: Sequence[str] = (), quiet: bool = False
) -> Any:
    """A decorator for functions that return images: every call is recorded, with its arguments as settings.

    Each call is a run of its own under `runs`; given a RunRecorder, calls are variants of its run. `prompt` (else the
    first text) and `negative_prompt` are the prompts, other texts and numbers are settings, a `generator` gives the
    seed. What a call returns or raises is what it would be without this; coroutines and generators may be decorated
    too. Used without parentheses it records under `runs` of the current folder.
    """
    if callable(runs) and not isinstance(runs, (str, Path, RunStore, RunRecorder)):
        return record()(runs)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        recorder = _FunctionRecorder(function, runs, name or function.__name__, tuple(learning_tags), is_quiet=quiet)
        return recorder.wrapped()

    return decorate


class _FunctionRecorder:
    """Records the calls of one function."""

    def __init__(
        self, function: Callable[..., Any], runs: _Runs, name: str, tags: tuple[str, ...], *, is_quiet: bool
    ) -> None:
        self._function = function
        self._run = runs if isinstance(runs, RunRecorder) else None
        self._store = runs if not isinstance(runs, RunRecorder) else None
        self._options: dict[str, Any] = {"name": name, "learning_tags": tags, "quiet": is_quiet}
        self._signature = inspect.signature(function)
        self._channel = SideChannel("recording a function")

    def wrapped(self) -> Callable[..., Any]:
        """The function, recorded."""
        if inspect.iscoroutinefunction(self._function):

            @functools.wraps(self._function)
            async def call_later(*args: Any, **kwargs: Any) -> Any:
                with _Call(self, args, kwargs) as call:
                    return call.made(await self._function(*args, **kwargs))

            return call_later

        @functools.wraps(self._function)
        def call_now(*args: Any, **kwargs: Any) -> Any:
            with _Call(self, args, kwargs) as call:
                made = self._function(*args, **kwargs)
                if not isinstance(made, Iterator):
                    return call.made(made)
                call.is_passed_on = True
            return self._pass_on(made, call)

        return call_now

    def _pass_on(self, images: Iterator[Any], call: "_Call") -> Iterator[Any]:
        """The images one by one, as the function makes them; recorded when the last one was taken, or nobody asks."""
        taken: list[ImageInput] = []
        call.is_passed_on = False
        with call:
            try:
                for image in images:
                    taken += self._channel.call(read_images, image) or []
                    yield image
            except GeneratorExit:
                call.made(taken)
                raise
            call.made(taken)

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The prompt and settings of a call, read before it, because the call uses generators up."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given: dict[str, Any] = {}
        for parameter, value in bound.arguments.items():
            is_rest = self._signature.parameters[parameter].kind is inspect.Parameter.VAR_KEYWORD
            given |= value if is_rest else {parameter: value}
        texts = [parameter for parameter, value in given.items() if isinstance(value, str)]
        prompt = "prompt" if "prompt" in given else next((name for name in texts if not find_setting(name)), None)
        settings = {key: value for key, value in given.items() if key != prompt and _is_setting(key, value)}
        seeds = seeds_of(given.get("generator"), 1)
        if seeds and "seed" not in settings:
            settings["seed"] = seeds[0]
        negative = given.get("negative_prompt") or ""
        return {"prompt": given[prompt] if prompt else "", "negative_prompt": negative, "settings": settings}

    def open_run(self) -> tuple[RunRecorder, bool]:
        """The run that a call belongs to, and whether it is the only one in it."""
        if self._run is not None:
            return self._run, False
        run = RunRecorder(self._store or "runs", **self._options)
        run.start()
        return run, True

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Do something that may fail without harm to the caller."""
        return self._channel.call(function, *args)


class _Call:
    """One call of the function: leaving the block records it."""

    def __init__(self, recorder: _FunctionRecorder, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._recorder = recorder
        self._fields: dict[str, Any] | None = recorder.call(recorder.read, args, kwargs)
        self._prompt = kwargs.get("prompt", args[0] if args else "")
        """What is recorded where the other arguments cannot be understood."""
        self._images: Any = ()
        self._was_made = False
        self.is_passed_on = False
        """Whether the images come one by one, after the block."""

    def made(self, result: Result) -> Result:
        """Note what the function returned, and return it."""
        self._images, self._was_made = result, True
        return result

    def __enter__(self) -> Self:
        self._started_at, self._started = SYSTEM_CLOCK.timestamp(), time.monotonic()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._fields is None and error is None:
            self._fields = {"prompt": self._prompt}
        if not self.is_passed_on and self._fields is not None:
            self._recorder.call(self._record, None if self._was_made else error)

    def _record(self, error: BaseException | None) -> None:
        run, is_own = self._recorder.open_run()
        run.record_variant(
            **cast("dict[str, Any]", self._fields),
            images=self._images if error is None else (),
            started_at=self._started_at,
            duration_seconds=round(time.monotonic() - self._started, 6),
            error=describe(error) if error is not None else None,
        )
        if is_own:
            run.finish("failed" if error is not None else "completed")


def _is_setting(name: str, value: Any) -> bool:
    return name not in _TEXTS | _INPUTS and isinstance(value, (bool, int, float, str))
