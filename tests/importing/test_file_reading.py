"""What a file holds: its digests, what it says, whether its end is there; and files that cannot be read."""

import hashlib
import os
import sys

import pytest
import xxhash

from stablenew.importing.file_reading import iter_read, read_files, read_metadata
from stablenew.importing.folder_walk import FoundFile
from tests.importing.images import INFOTEXT, make_png

PROMPT = "a quiet harbour at dawn"


def read(folder, name, data=None):
    if data is not None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (found,) = read_files(folder, [FoundFile(name, 0, 0)])
    return found


@pytest.mark.parametrize("extra_bytes", [0, 1, 262_144, 600_000])
def test_digests_are_those_of_the_bytes_however_long_the_file(tmp_path, extra_bytes):
    data = make_png() + b"\0" * extra_bytes
    found = read(tmp_path, "a.png", data)
    assert found.digest == f"xxh128:{xxhash.xxh3_128_hexdigest(data)}"
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.file.size_bytes == len(data)
    assert found.file.modified_ns == (tmp_path / "a.png").stat().st_mtime_ns


def test_size_and_time_are_those_of_the_bytes_that_were_read_not_those_of_the_walk(tmp_path):
    found = read(tmp_path, "sub/a.png", make_png())
    assert (found.file.path, found.file.size_bytes) == ("sub/a.png", len(make_png()))


@pytest.mark.parametrize(
    ("name", "data", "is_cut_off"),
    [
        ("a.png", make_png(), False), ("a.png", make_png()[:-12], True), ("a.png", make_png() + b"tail", False),
        ("a.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 40, True),
        ("a.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 40 + b"\xff\xd9", False),
        ("a.webp", b"RIFF" + (36).to_bytes(4, "little") + b"WEBPVP8 " + b"\0" * 28, False),
        ("a.webp", b"RIFF" + (37).to_bytes(4, "little") + b"WEBPVP8 " + b"\0" * 28, True),
        ("a.gif", b"GIF89a" + b"\0" * 20, False),
    ],
)  # fmt: skip
def test_a_file_without_the_end_that_its_format_asks_for_is_cut_off(tmp_path, name, data, is_cut_off):
    assert read(tmp_path, name, data).is_cut_off == is_cut_off


def test_a_file_that_cannot_be_read_says_why_and_keeps_nobody_from_the_others(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "good.png").write_bytes(make_png())
    names = ["gone.png", "folder.png", "good.png"]
    gone, folder, good = read_files(tmp_path, [FoundFile(name, 1, 1) for name in names])
    assert gone.problem == "No such file or directory"
    assert folder.problem
    assert (gone.digest, gone.metadata) == ("", None)
    assert (good.problem, good.metadata.generation.prompt) == (None, PROMPT)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_is_not_read(tmp_path):
    (tmp_path / "real.png").write_bytes(make_png())
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    assert read(tmp_path, "link.png").problem


def test_any_bytes_are_a_file_that_says_nothing(tmp_path):
    found = read(tmp_path, "a.png", b"no image at all")
    assert (found.problem, found.metadata.has_generation_data) == (None, False)


@pytest.mark.parametrize("beside", ["a.txt", "a.png.txt"])
def test_where_an_image_says_nothing_a_file_beside_it_counts(tmp_path, beside):
    (tmp_path / beside).write_text(INFOTEXT.format(seed=7, steps=9))
    silent, speaking = make_png(text=""), make_png(seed=5)
    assert read(tmp_path, "a.png", silent).metadata.generation.settings["seed"] == 7
    assert read_metadata(tmp_path, FoundFile("a.png", 0, 0)).metadata.generation.settings["seed"] == 7
    assert read(tmp_path, "a.png", speaking).metadata.generation.settings["seed"] == 5
    assert read(tmp_path, "b.png", silent).metadata.generation.settings == {}


def test_a_file_beside_that_is_no_metadata_or_a_link_or_too_long_is_left_out(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\0")
    assert not read(tmp_path, "a.png", make_png(text="")).metadata.has_generation_data
    (tmp_path / "a.txt").write_bytes(INFOTEXT.format(seed=7, steps=9).encode().ljust((4 << 20) + 1))
    assert not read(tmp_path, "a.png").metadata.has_generation_data
    (tmp_path / "other").write_text(INFOTEXT.format(seed=7, steps=9))
    (tmp_path / "a.txt").unlink()
    (tmp_path / "a.txt").symlink_to(tmp_path / "other")
    assert not read(tmp_path, "a.png").metadata.has_generation_data


def test_reading_what_a_file_says_gives_no_digests(tmp_path):
    (tmp_path / "a.png").write_bytes(make_png())
    found = read_metadata(tmp_path, FoundFile("a.png", 0, 0))
    assert (found.digest, found.metadata.generation.prompt) == ("", PROMPT)
    assert read_metadata(tmp_path, FoundFile("gone.png", 0, 0)).problem == "No such file or directory"


def test_a_name_that_is_no_text_is_read(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    assert read(tmp_path, name, make_png()).problem is None


@pytest.mark.parametrize("count", [0, 1, 16])
def test_few_files_are_read_here_and_come_in_their_order(tmp_path, count):
    files = []
    for number in range(count):
        (tmp_path / f"{number}.png").write_bytes(make_png(number))
        files.append(FoundFile(f"{number}.png", 1, 1))
    found = [one for chunk in iter_read(tmp_path, files) for one in chunk]
    assert [one.file.path for one in found] == [file.path for file in files]
