"""How every run folder of a store looks, without reading anything in it.

To look at a hundred thousand folders takes as long as to import what a dataset is built with. So it can be done by a
process of its own meanwhile: this module, run as a program.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from stablenew import worker_pool
from stablenew.store.folder_signature import YOUNG_NS, folder_signature, looking_into
from stablenew.store.run_entries import check_place, is_run_entry

UNSETTLED: Final = -1


def scan_folders(root: str) -> dict[str, int]:
    """Every run folder by id, as `RunSource.signatures`. A store that does not exist yet has none.

    Raises:
        NotAStore: something that is no folder has its place.
    """
    check_place(Path(root))
    young = time.time_ns() - YOUNG_NS
    try:
        with os.scandir(root) as entries:
            run_ids = [entry.name for entry in entries if is_run_entry(entry)]
        with looking_into(root) as look:
            return {run_id: _signature(look, run_id, young) for run_id in run_ids}
    except FileNotFoundError:
        return {}


def _signature(look: Callable[[str], os.stat_result], run_id: str, young: int) -> int:
    try:
        status = look(run_id)
    except FileNotFoundError:
        return UNSETTLED
    return UNSETTLED if max(status.st_mtime_ns, status.st_ctime_ns) >= young else folder_signature(status)


@contextlib.contextmanager
def begun_scan(root: str) -> Iterator[Callable[[], dict[str, int]]]:
    """`scan_folders` by another process, begun now; what is given waits for it. What fails there is done here."""
    with (
        contextlib.closing(worker_pool.iter_answers(__name__, [], [root], count=1)) as answers,
        ThreadPoolExecutor(1) as thread,
    ):
        begun = thread.submit(next, answers)

        def wait() -> dict[str, int]:
            with contextlib.suppress(OSError):  # it could not be started, or died
                if isinstance(found := begun.result(), dict):
                    return found
            return scan_folders(root)

        yield wait


def _answer(root: str) -> dict[str, int] | None:
    with contextlib.suppress(OSError):
        return scan_folders(root)
    return None


if __name__ == "__main__":
    worker_pool.serve(_answer)
