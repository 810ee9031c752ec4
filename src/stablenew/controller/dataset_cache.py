"""Where a store's own dataset is kept: in the cache folder, one for each query, rebuilt whenever it is deleted."""

from pathlib import Path

from stablenew.formats.digest import digest_bytes
from stablenew.store.local_state import cache_folder, store_key

_QUERY_DIGITS = 12


def cached_dataset_folder(root: Path, query: str = "") -> Path:
    """The folder of the dataset of the runs in `root` that `query` finds."""
    name = store_key(root)
    if query:
        name += f"-{digest_bytes(query.encode())[-_QUERY_DIGITS:]}"
    return cache_folder() / "datasets" / name
