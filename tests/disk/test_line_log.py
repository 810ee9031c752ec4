import os
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.disk.line_log import append_line, iter_lines
from stablenew.errors import WriteFailed

lines = st.lists(st.binary(min_size=1, max_size=40).filter(lambda one: b"\n" not in one and one.strip()), max_size=6)


def whole(path):
    return [line for _, line, is_whole in iter_lines(path) if is_whole]


@given(lines)
def test_what_is_appended_is_read_in_order(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    path.touch()
    for line in written:
        append_line(path, line)
    assert whole(path) == written


@given(lines, st.integers(0, 200))
def test_a_file_cut_anywhere_keeps_every_whole_line_and_the_next_append_is_whole(tmp_path_factory, written, cut):
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    data = b"".join(line + b"\n" for line in written)[:cut]
    path.write_bytes(data)
    kept = [line for line in data.split(b"\n")[:-1] if line.strip()]
    assert whole(path) == kept
    append_line(path, b'{"next":1}')
    assert whole(path)[-1] == b'{"next":1}'
    assert whole(path)[: len(kept)] == kept
    assert path.read_bytes().startswith(data)


def test_lines_end_at_newlines_and_nowhere_else(tmp_path):
    line = '"a\u2028b\u0085c\rd"'.encode()
    append_line(tmp_path / "a", line)
    assert whole(tmp_path / "a") == [line]


def test_a_line_with_a_newline_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one line"):
        append_line(tmp_path / "a", b"a\nb")
    assert not (tmp_path / "a").exists()


def test_lines_longer_than_the_reading_buffer_are_whole(tmp_path):
    long = b"x" * 3_000_000
    for line in (b"a", long, b"b"):
        append_line(tmp_path / "a", line)
    assert whole(tmp_path / "a") == [b"a", long, b"b"]


def test_a_line_that_fits_only_in_part_is_taken_back(tmp_path):
    """A real limit: the kernel writes as much as may be written, then says no."""
    script = """
        import resource, sys
        from pathlib import Path
        from stablenew.errors import WriteFailed
        from stablenew.disk.line_log import append_line
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        append_line(Path(sys.argv[1]), b"first")
        try:
            append_line(Path(sys.argv[1]), b"x" * 2000)
        except WriteFailed as error:
            print(error)
        append_line(Path(sys.argv[1]), b"third")
    """
    path = tmp_path / "a.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), path], capture_output=True, text=True, check=True
    )
    assert "only 994 of 2001 bytes" in done.stdout
    assert path.read_bytes() == b"first\nthird\n"


def test_a_folder_in_the_place_of_the_log_is_a_clear_failure(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(WriteFailed, match="Is a directory"):
        append_line(tmp_path / "a", b"line")


def test_reading_does_not_follow_links_or_wait_for_pipes(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret\n")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError):
            list(iter_lines(tmp_path / name))
