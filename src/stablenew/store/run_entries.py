"""What has the place of a store, and which of its entries are runs: asked very often, and quick to import."""

import os
from pathlib import Path

from stablenew.disk.regular_file import is_regular
from stablenew.errors import NotAStore
from stablenew.formats.run_id import is_generated_run_id, is_run_id
from stablenew.store.run_folder import METADATA


def check_place(root: Path) -> None:
    """See that nothing but a folder has the place of a store; nothing at all may have it too.

    Raises:
        NotAStore: something that is no folder has it.
    """
    if root.exists() and not root.is_dir():
        raise NotAStore(f"expected a folder of runs, found something else: {root}")


def is_run_entry(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a store is a run folder; under a name that somebody chose, only once it has metadata."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    return is_generated_run_id(entry.name) or (is_run_id(entry.name) and is_regular(Path(entry.path) / METADATA))
