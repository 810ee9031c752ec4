"""LazyPart: an attribute that is made when it is first used."""

import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, overload

Owner = TypeVar("Owner", bound="HasGuard")
Part = TypeVar("Part")


class HasGuard(Protocol):
    """An object with lazy parts, and the lock under which they are made."""

    guard: threading.RLock


class LazyPart(Generic[Owner, Part]):
    """Decorates a method that makes a part; made once, also when two threads ask at the same time.

    The part is kept in the object's own `__dict__` under the method's name, so later uses cost nothing.
    """

    def __init__(self, make: Callable[[Owner], Part]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: Any = None) -> "LazyPart[Owner, Part]": ...
    @overload
    def __get__(self, instance: Owner, owner: Any = None) -> Part: ...
    def __get__(self, instance: Owner | None, owner: Any = None) -> "LazyPart[Owner, Part] | Part":
        if instance is None:
            return self
        with instance.guard:
            if self._name not in vars(instance):
                vars(instance)[self._name] = self._make(instance)
            part: Part = vars(instance)[self._name]
            return part
