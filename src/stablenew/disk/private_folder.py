"""Folders that only their owner may open, for what a program keeps of its user."""

import os

from stablenew.disk.regular_file import StrPath, folder_of

_OWNER_ONLY = 0o700


def make_private_folder(path: StrPath) -> None:
    """Create a folder with its missing parents; each new one is for its owner only. One that is there stays as it is.

    Raises:
        OSError: it cannot be created, or something else is there.
    """
    try:
        os.mkdir(path, _OWNER_ONLY)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    except FileNotFoundError:
        make_private_folder(folder_of(path))
        make_private_folder(path)
