"""What a walk through a folder takes and leaves out, and that one file is taken where a walk would take it."""

import os
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stablenew.importing.folder_walk import FolderWalk, find_file, modified_ns
from stablenew.store.run_folder import MARKER_FOLDER

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def make(root, *paths):
    for path in paths:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            target.mkdir()
        else:
            target.write_bytes(b"x")


def walk(root, start=None):
    """The paths that are taken, and how many of each kind were left out."""
    walking = FolderWalk(root, start or root)
    return [file.path for file in walking.files()], dict(walking.left_out)


def test_images_are_taken_folder_by_folder_in_the_order_of_their_names(tmp_path):
    make(tmp_path, "b.png", "a.JPG", "sub/z.webp", "sub/deep/y.mp4", "other/x.gif")
    assert walk(tmp_path)[0] == ["a.JPG", "b.png", "sub/z.webp", "sub/deep/y.mp4", "other/x.gif"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("notes.txt", "other files"), ("png", "other files"), ("a.png.part", "files still being written"),
        ("a.PNG.TMP", "files still being written"), ("a.crdownload", "files still being written"),
        (".a.png", "hidden"), (".hidden/a.png", "hidden"), ("Thumbnails/a.png", "folders of thumbnails and caches"),
        ("x/__pycache__/a.png", "folders of thumbnails and caches"),
        (f"s/{MARKER_FOLDER}/a.png", "stores of StableNew"), (f"{MARKER_FOLDER}/a.png", "stores of StableNew"),
    ],
)  # fmt: skip
def test_what_is_no_image_to_take_is_counted_by_its_kind(tmp_path, path, kind):
    make(tmp_path, path)
    assert walk(tmp_path) == ([], {kind: 1})
    assert find_file(tmp_path, tmp_path / path) is None


def test_an_empty_file_is_left_out(tmp_path):
    (tmp_path / "a.png").touch()
    assert walk(tmp_path) == ([], {"empty files": 1})


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    make(tmp_path, "a.png/b.png")
    assert walk(tmp_path)[0] == ["a.png/b.png"]
    assert find_file(tmp_path, tmp_path / "a.png") is None


@posix
def test_links_are_not_followed_wherever_they_lead(tmp_path):
    make(tmp_path, "real/a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "real" / "a.png")
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert walk(tmp_path) == (["real/a.png"], {"links": 3})
    for path in ("link.png", "folder/a.png", "loop/real/a.png"):
        assert find_file(tmp_path, tmp_path / path) is None


@posix
def test_what_is_no_regular_file_is_left_out(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert walk(tmp_path) == ([], {"empty files": 1})
    assert find_file(tmp_path, tmp_path / "pipe.png") is None


@posix
def test_a_name_that_is_no_text_is_taken_as_it_is(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    make(tmp_path, name)
    assert walk(tmp_path)[0] == [name]
    assert find_file(tmp_path, tmp_path / name).path == name


def test_a_walk_may_begin_in_a_folder_and_names_files_from_the_root(tmp_path):
    make(tmp_path, "a.png", "sub/b.png", "sub/deep/c.png")
    assert walk(tmp_path, tmp_path / "sub")[0] == ["sub/b.png", "sub/deep/c.png"]


def test_a_folder_that_is_not_there_is_counted(tmp_path):
    assert walk(tmp_path / "gone") == ([], {"folders that cannot be read": 1})


NAMES = st.sampled_from(["a", "cache", ".h", "Thumbs", "b.png", "c.txt", "d.part", MARKER_FOLDER])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@example(paths=["b.png", f"{MARKER_FOLDER}/a"], is_empty=False)
@example(paths=["a/b.png", f"a/{MARKER_FOLDER}"], is_empty=False)
@given(paths=st.lists(PATHS, max_size=6), is_empty=st.booleans())
def test_one_file_is_found_exactly_where_a_walk_finds_it(tmp_path_factory, paths, is_empty):
    root = tmp_path_factory.mktemp("tree")
    for path in paths:
        target = root / path
        if not target.exists() and not any(parent.is_file() for parent in target.parents):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"" if is_empty else b"x")
    walked = {file.path: file for file in FolderWalk(root, root).files()}
    everything = [path for path in root.rglob("*") if path.is_file()]
    found = {path.relative_to(root).as_posix(): find_file(root, path) for path in everything}
    assert {path: file for path, file in found.items() if file} == walked


@pytest.mark.parametrize("path", ["..", "../x.png", "/x.png", "", "gone.png", "gone/x.png"])
def test_a_path_that_is_not_beneath_the_root_is_not_found(tmp_path, path):
    make(tmp_path, "x.png", "root/a.png")
    assert find_file(tmp_path / "root", tmp_path / "root" / path) is None


@pytest.mark.parametrize(("time_ns", "expected"), [(5, 5), (2**70, 2**63 - 1), (-(2**70), 1 - 2**63)])
def test_the_time_of_a_file_fits_into_64_bits(time_ns, expected):
    status = type("Status", (), {"st_mtime_ns": time_ns})()
    assert modified_ns(status) == expected
