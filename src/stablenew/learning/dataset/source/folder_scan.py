"""How every run folder of a store looks, without reading anything in it.

To look at a hundred thousand folders takes as long as to import what a dataset is built with. So another process begins
with it meanwhile: this module, run as a program.
"""

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, Final

from stablenew import worker_pool
from stablenew.disk.folder_signature import YOUNG_NS, folder_signature, looking_into
from stablenew.store.run_folder import check_place, is_run_entry

UNSETTLED: Final = -1
_STRETCH: Final = 2_000


def scan_folders(root: str) -> dict[str, int]:
    """Every run folder by id, as `RunSource.signatures`. A store that does not exist yet has none.

    Raises:
        NotAStore: something that is not a folder is in its place.
    """
    check_place(Path(root))
    run_ids = _list_runs(root)
    return dict(zip(run_ids, _look_at(root, run_ids), strict=True))


def _list_runs(root: str) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted([entry.name for entry in entries if is_run_entry(entry)])
    except FileNotFoundError:
        return []


def _look_at(root: str, run_ids: Sequence[str]) -> list[int]:
    young = time.time_ns() - YOUNG_NS
    try:
        with looking_into(root) as look:
            return [_signature(look, run_id, young) for run_id in run_ids]
    except FileNotFoundError:
        return [UNSETTLED] * len(run_ids)


def _signature(look: Callable[[str], os.stat_result], run_id: str, young: int) -> int:
    try:
        status = look(run_id)
    except FileNotFoundError:
        return UNSETTLED
    return UNSETTLED if max(status.st_mtime_ns, status.st_ctime_ns) >= young else folder_signature(status)


@contextlib.contextmanager
def start_scan(root: str) -> Iterator[Callable[[], dict[str, int]]]:
    """`scan_folders`, begun by another process; what is given helps from the other end, and waits for the rest.

    Raises:
        NotAStore: something that is not a folder is in its place.
    """
    check_place(Path(root))
    listed: Future[list[str] | None] = Future()
    starts: deque[int] = deque()
    answers = worker_pool.iter_answers(__name__, [root], _iter_questions(starts), count=1)
    with ThreadPoolExecutor(1) as thread:
        seen = thread.submit(_gather, answers, listed, starts)

        def wait() -> dict[str, int]:
            run_ids = listed.result()
            if run_ids is None:
                return scan_folders(root)
            stretches = [_look_at(root, run_ids[start : start + _STRETCH]) for start in _pop_each(starts.pop)]
            back = list(chain.from_iterable(reversed(stretches)))
            front = seen.result()
            missing = run_ids[len(front) : len(run_ids) - len(back)]
            return dict(zip(run_ids, [*front, *_look_at(root, missing), *back], strict=True))

        yield wait


def _iter_questions(starts: deque[int]) -> Iterator[list[int]]:
    """What the other process is asked: the run ids, then how one stretch of these after the other looks.

    For two stretches it is asked before anybody knows how many there are; what is beyond the end is empty.
    """
    yield []
    for start in chain((0, _STRETCH), _pop_each(starts.popleft)):
        yield [start, start + _STRETCH]


def _pop_each(pop: Callable[[], int]) -> Iterator[int]:
    """What there is, until there is nothing more: another thread may be taking too."""
    with contextlib.suppress(IndexError):
        while True:
            yield pop()


def _gather(answers: Generator[Any, None, None], listed: "Future[list[str] | None]", starts: deque[int]) -> list[int]:
    """How the first runs look that the other process saw, until it had no more, could not be started or died.

    `listed` gets the run ids, or None, and `starts` where the stretches begin that it was not asked for.
    """
    looks: list[int] = []
    with contextlib.closing(answers), contextlib.suppress(OSError, StopIteration):
        run_ids = next(answers)
        starts.extend(range(2 * _STRETCH, len(run_ids or ()), _STRETCH))
        listed.set_result(run_ids)
        for answer in answers:
            looks += answer
    if not listed.done():
        listed.set_result(None)
    return looks


def _serve(root: str) -> None:
    run_ids: list[str] = []

    def answer(stretch: list[int]) -> list[str] | list[int] | None:
        if stretch:
            return _look_at(root, run_ids[slice(*stretch)])
        try:
            run_ids.extend(_list_runs(root))
        except OSError:  # whoever asks will meet it too
            return None
        return run_ids

    worker_pool.serve(answer)


if __name__ == "__main__":
    _serve(sys.argv[1])
