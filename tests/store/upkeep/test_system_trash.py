"""Where a file may go to the system's trash, and where it may not."""

import hashlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from stablenew.store.upkeep import system_trash
from stablenew.store.upkeep.system_trash import NoTrash, find_trash_folders, move_to_system_trash

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="each system keeps its trash in its own place")

needs_send2trash = pytest.mark.skipif(
    importlib.util.find_spec("send2trash") is None, reason="needs pip install 'stablenew[trash]'"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"bytes of a picture")
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_disk_s_own_trash_is_that_of_the_home_folder_where_both_are_one(file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert find_trash_folders(file) == [tmp_path / "data" / "Trash" / "files"]


def test_another_disk_has_a_trash_of_its_own(file, monkeypatch):
    if Path("/dev/shm").stat().st_dev == file.stat().st_dev:
        pytest.skip("there is one file system only")
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/shm/no-such-folder/data")
    own = f".Trash-{os.getuid()}"
    assert own in {path.parent.name for path in find_trash_folders(file)}


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_share_has_none(file, monkeypatch, kind):
    monkeypatch.setattr(system_trash, "network_share_type", lambda _path: kind)
    with pytest.raises(NoTrash, match="network share"):
        move_to_system_trash(file, sha256(file))
    assert file.exists()


def test_a_removable_disk_has_none(file, tmp_path, monkeypatch):
    monkeypatch.setattr(system_trash, "_MEDIA", (str(tmp_path),))
    with pytest.raises(NoTrash, match="removable"):
        move_to_system_trash(file, sha256(file))
    assert file.exists()


@needs_send2trash
def test_another_file_than_the_recorded_one_stays(file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with pytest.raises(NoTrash, match="not the file that was recorded"):
        move_to_system_trash(file, "0" * 64)
    assert file.exists()


@needs_send2trash
def test_a_file_that_does_not_arrive_in_the_trash_is_reported(file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    import send2trash

    monkeypatch.setattr(send2trash, "send2trash", os.unlink)
    with pytest.raises(NoTrash, match="not to be found there"):
        move_to_system_trash(file, sha256(file))
