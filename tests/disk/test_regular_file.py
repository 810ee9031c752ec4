"""Files that somebody else may have written: what is read, what is refused, and what nobody can tell."""

import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.disk.regular_file import (
    folder_of,
    is_gone,
    is_plain_folder,
    is_regular,
    is_surely_regular,
    open_regular,
    read_regular,
    read_with_status,
    status_at,
    status_of,
)

posix = pytest.mark.skipif(os.name == "nt", reason="needs links and FIFOs")
unprivileged = pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may look everywhere")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"harbour")
    return path


def make_link(tmp_path, file):
    (tmp_path / "odd").symlink_to(file)


def make_broken_link(tmp_path, file):
    (tmp_path / "odd").symlink_to(tmp_path / "nowhere")


def make_folder(tmp_path, file):
    (tmp_path / "odd").mkdir()


def make_fifo(tmp_path, file):
    os.mkfifo(tmp_path / "odd")


def make_socket(tmp_path, file):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "odd"))


ODD = [make_link, make_broken_link, make_folder, make_fifo, make_socket]


@posix
@pytest.mark.parametrize("make", ODD)
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(make, tmp_path, file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, file)
    assert not is_regular(tmp_path / "odd")
    assert not is_surely_regular(tmp_path / "odd")
    assert not is_gone(tmp_path / "odd")
    for read in (lambda path: read_regular(path, 100), lambda path: read_with_status(path, 100), open_regular):
        with pytest.raises(OSError):
            read(tmp_path / "odd")


@posix
def test_a_refused_file_leaves_no_descriptor_open(tmp_path, file):
    (tmp_path / "folder").mkdir()
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        with pytest.raises(OSError):
            read_regular(tmp_path / "folder", 100)
        with pytest.raises(OSError):
            read_regular(file, 3)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_file_that_is_not_there_is_its_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "absent", 100)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent")
    assert is_gone(tmp_path / "absent")
    assert status_at(tmp_path / "absent") is None


@given(st.binary(max_size=300), st.integers(0, 300))
def test_a_file_is_read_whole_or_not_at_all(tmp_path_factory, data, limit):
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(data)
    if len(data) <= limit:
        assert read_regular(path, limit) == data
    else:
        with pytest.raises(OSError, match=f"expected at most {limit:,} bytes"):
            read_regular(path, limit)


def test_a_file_may_be_just_as_long_as_is_allowed_and_not_one_byte_longer(file, monkeypatch):
    assert read_regular(file, 7) == b"harbour"
    with pytest.raises(OSError, match="expected at most 6 bytes"):
        read_regular(file, 6)
    real = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: real(descriptor, min(size, 2)))
    assert read_regular(file, 7) == b"harbour"


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(file, monkeypatch):
    real = os.fstat

    def grow(descriptor):
        status = real(descriptor)
        if stat.S_ISREG(status.st_mode):
            with file.open("ab") as more:
                more.write(b" at dawn")
        return status

    monkeypatch.setattr(os, "fstat", grow)
    data, status = read_with_status(file, 100)
    monkeypatch.undo()
    assert data.startswith(b"harbour at dawn")
    assert data == file.read_bytes()
    assert status.st_size == len("harbour")


def test_a_system_that_returns_a_file_in_parts_gives_it_whole(file, monkeypatch):
    real = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: real(descriptor, min(size, 2)))
    assert read_regular(file, 100) == b"harbour"
    with pytest.raises(OSError, match="at most 3 bytes"):
        read_regular(file, 3)


@posix
def test_a_folder_is_plain_only_where_no_link_leads_to_it(tmp_path, file):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder", target_is_directory=True)
    assert is_plain_folder(tmp_path / "folder")
    assert not is_plain_folder(tmp_path / "link")
    assert not is_plain_folder(file)
    assert not is_plain_folder(tmp_path / "absent")


def test_beneath_a_file_there_is_nothing(file):
    assert is_gone(file / "below")
    assert not is_regular(file / "below")
    assert status_at(file / "below") is None


@unprivileged
def test_what_cannot_be_examined_is_neither_there_nor_gone(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "file").write_bytes(b"")
    locked.chmod(0)
    try:
        assert not is_regular(locked / "file")
        assert not is_gone(locked / "file")
        for ask in (is_surely_regular, is_plain_folder, status_at):
            with pytest.raises(PermissionError):
                ask(locked / "file")
    finally:
        locked.chmod(0o700)


def test_a_failing_disk_is_not_taken_for_an_empty_place(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(os, "lstat", fail)
    assert not is_regular(tmp_path)
    assert not is_gone(tmp_path)
    for ask in (is_surely_regular, is_plain_folder, status_at):
        with pytest.raises(OSError, match="Input/output"):
            ask(tmp_path)


@posix
def test_an_entry_that_was_deleted_since_has_no_status(tmp_path, file):
    (tmp_path / "link").symlink_to(file)
    with os.scandir(tmp_path) as entries:
        found = {entry.name: entry for entry in entries}
    assert stat.S_ISLNK(status_of(found["link"]).st_mode)
    file.unlink()
    assert status_of(found["file"]) is None


@pytest.mark.parametrize("path", ["a\0b", "\0", "\ud800"], ids=ascii)
def test_at_a_path_that_no_name_can_have_nothing_is_there(path):
    with pytest.raises(FileNotFoundError):
        open_regular(path)
    with pytest.raises(FileNotFoundError):
        read_regular(path, 10)


@pytest.mark.parametrize(("path", "folder"), [("a/b", "a"), ("a", os.curdir), ("/a", "/")])
def test_the_folder_of_a_bare_name_is_the_current_one(path, folder):
    assert folder_of(path) == folder
