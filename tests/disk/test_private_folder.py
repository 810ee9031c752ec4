import os
import stat

import pytest

from stablenew.disk.private_folder import make_private_folder

posix = pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_every_new_folder_is_for_its_owner_only_whatever_the_umask(tmp_path):
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        make_private_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert [mode_of(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o700] * 3
    assert mode_of(tmp_path) == 0o755


@posix
def test_a_folder_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "a").mkdir(mode=0o750)
    (tmp_path / "a" / "kept").write_bytes(b"kept")
    make_private_folder(tmp_path / "a")
    assert mode_of(tmp_path / "a") == 0o750
    assert (tmp_path / "a" / "kept").read_bytes() == b"kept"


@posix
def test_a_link_to_a_folder_counts_as_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make_private_folder(tmp_path / "link")
    make_private_folder(tmp_path / "link" / "below")
    assert (tmp_path / "real" / "below").is_dir()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_in_its_place_is_an_error_and_stays(tmp_path, place):
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(OSError):
        make_private_folder(tmp_path / place)
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_a_relative_path_is_one_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_private_folder("a/b")
    assert (tmp_path / "a" / "b").is_dir()
