"""Each step of writing a file is made to fail by the system itself: limits, a full disk, a missing permission."""

import contextlib
import errno
import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stablenew.disk import atomic_file
from stablenew.disk.atomic_file import (
    is_temporary,
    replace_file,
    replace_then_write_once,
    sync_folder,
    temporary_name,
    write_once,
)
from stablenew.errors import WriteFailed


def test_write_once_puts_the_bytes_there(tmp_path):
    write_once(tmp_path / "a", b"one")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["a"]


def test_write_once_refuses_a_second_time(tmp_path):
    write_once(tmp_path / "a", b"one")
    with pytest.raises(FileExistsError):
        write_once(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"


def test_write_once_does_not_follow_a_dangling_link(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_once(tmp_path / "a", b"one")
    assert not (tmp_path / "elsewhere").exists()


def test_replace_gives_the_new_bytes_a_new_inode(tmp_path):
    write_once(tmp_path / "a", b"old")
    with (tmp_path / "a").open("rb") as reader:
        replace_file(tmp_path / "a", b"new")
        assert reader.read() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_file_that_may_not_grow_leaves_the_old_one_whole(tmp_path, size):
    script = f"""
        import resource, sys
        from pathlib import Path
        from stablenew.errors import WriteFailed
        from stablenew.disk.atomic_file import replace_file
        resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
        try:
            replace_file(Path(sys.argv[1]), b"n" * 6000)
        except WriteFailed as error:
            print(error.filename.endswith("a"), error.strerror)
    """
    (tmp_path / "a").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path / "a"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("True could not write: File too large")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("call", ["fsync", "rename,renameat,renameat2"])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.skipif(not shutil.which("strace"), reason="strace, which makes system calls fail, is not installed")
def test_a_failing_system_call_leaves_the_old_file_whole(tmp_path, call, error):
    """Here the kernel itself says no; only calls of the writing process are touched."""
    (tmp_path / "a").write_bytes(b"old")
    script = f"""
        from pathlib import Path
        from stablenew.errors import WriteFailed
        from stablenew.disk.atomic_file import replace_file
        try:
            replace_file(Path({str(tmp_path / "a")!r}), b"new")
        except WriteFailed:
            raise SystemExit(7)
    """
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}"]
    done = subprocess.run([*command, sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    if "ptrace" in done.stderr and done.returncode != 7:
        pytest.skip("this machine does not allow tracing")
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(WriteFailed, match="Permission denied"):
            write_once(tmp_path / "a", b"one")
    finally:
        tmp_path.chmod(0o700)


def test_a_missing_folder_is_a_clear_failure(tmp_path):
    with pytest.raises(WriteFailed, match="No such file") as caught:
        write_once(tmp_path / "gone" / "a", b"one")
    assert caught.value.errno == errno.ENOENT


def test_a_failed_fsync_is_never_asked_again(tmp_path, monkeypatch):
    asked = []

    def fail(descriptor):
        asked.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic_file.os, "fsync", fail)
    with pytest.raises(WriteFailed, match="Input/output"):
        write_once(tmp_path / "a", b"one")
    assert len(asked) == 1
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_synced_on_its_file_system_is_tolerated_but_an_error_is_not(tmp_path, monkeypatch):
    def fail_with(number):
        def fail(_descriptor):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(atomic_file.os, "fsync", fail)

    fail_with(errno.EINVAL)
    sync_folder(tmp_path)
    fail_with(errno.EIO)
    with pytest.raises(WriteFailed):
        sync_folder(tmp_path)


RACE = """
    import sys
    from pathlib import Path
    from stablenew.disk.atomic_file import replace_then_write_once, write_once

    folder, name = Path(sys.argv[1]), sys.argv[2]
    for number, _ in enumerate(sys.stdin):
        path = folder / f"{number}.txt"
        try:
            if sys.argv[3] == "write_once":
                write_once(path, name.encode())
            else:
                replace_then_write_once((folder / f"{number}.json", name.encode()), (path, name.encode()))
            print("made", flush=True)
        except FileExistsError:
            print("refused", flush=True)
"""


@pytest.mark.heavy
@pytest.mark.parametrize("function", ["write_once", "replace_then_write_once"])
def test_of_two_processes_exactly_one_creates_a_file(tmp_path, function):
    command = [sys.executable, "-c", textwrap.dedent(RACE), tmp_path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    rivals = [subprocess.Popen([*command, name, function], **pipes) for name in ("first", "second")]
    for number in range(100):
        for rival in rivals:
            rival.stdin.write("go\n")
            rival.stdin.flush()
        answers = [rival.stdout.readline().strip() for rival in rivals]
        assert sorted(answers) == ["made", "refused"]
        winner = ("first", "second")[answers.index("made")]
        assert (tmp_path / f"{number}.txt").read_text() == winner
        if function == "replace_then_write_once":
            assert (tmp_path / f"{number}.json").read_text() == winner, "who is refused has replaced nothing"
    for rival in rivals:
        rival.communicate()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.heavy
@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("count", [2, 5])
def test_of_many_threads_exactly_one_creates_a_file(tmp_path, monkeypatch, has_links, count):
    """Also where the file system has no hard links, which FAT and some shares have not."""
    if not has_links:
        monkeypatch.setattr(atomic_file.os, "link", refuse_links)
    for number in range(60):
        barrier, made = threading.Barrier(count), []

        def write(rival, path=tmp_path / f"{number}", barrier=barrier, made=made):
            barrier.wait()
            with contextlib.suppress(FileExistsError):
                write_once(path, rival)
                made.append(rival)

        threads = [threading.Thread(target=write, args=(b"%d" % rival,)) for rival in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1
        assert (tmp_path / f"{number}").read_bytes() == made[0]
    assert len(os.listdir(tmp_path)) == 60


def refuse_links(*_):
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_without_links_a_rename_that_fails_leaves_the_name_free(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic_file.os, "link", refuse_links)
    monkeypatch.setattr(atomic_file.os, "replace", fail)
    with pytest.raises(WriteFailed, match="Input/output"):
        write_once(tmp_path / "a", b"one")
    assert os.listdir(tmp_path) == []


def test_a_link_whose_answer_was_lost_counts_as_made(tmp_path, monkeypatch):
    """A network file system may repeat a request whose answer was lost, and then find its own link."""
    link = os.link

    def link_twice(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(atomic_file.os, "link", link_twice)
    write_once(tmp_path / "a", b"one")
    assert os.listdir(tmp_path) == ["a"]


def test_a_claim_on_the_last_file_keeps_others_from_replacing_the_first(tmp_path):
    (tmp_path / "first").write_bytes(b"old")
    (tmp_path / ".last.00000000.tmp").write_bytes(b"")
    with pytest.raises(FileExistsError):
        replace_then_write_once((tmp_path / "first", b"new"), (tmp_path / "last", b"x"))
    assert (tmp_path / "first").read_bytes() == b"old"


NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=30)


@given(NAMES, st.integers(0, 2**32 - 1))
@example("a\nb\n", 0)
def test_a_temporary_name_is_known_as_one_whatever_the_file_is_called(name, token):
    assert is_temporary(temporary_name(name, f"{token:08x}"))


def test_a_temporary_name_is_hidden_and_never_changes():
    """Readers of earlier versions leave these files alone by their name."""
    assert temporary_name("records.jsonl", "0a1b2c3d") == ".records.jsonl.0a1b2c3d.tmp"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "records.jsonl",
        "records.jsonl.0a1b2c3d.tmp",
        ".records.jsonl.0a1b2c3d.tmp\n",
        ".records.jsonl.0a1b2c3d.temp",
        ".records.jsonl.0A1B2C3D.tmp",
        ".records.jsonl.0a1b2c3.tmp",
        ".records.jsonl.0a1b2c3dd.tmp",
        "..0a1b2c3d.tmp",
        ".0a1b2c3d.tmp",
    ],
)
def test_a_name_of_another_form_belongs_to_somebody_else(name):
    assert not is_temporary(name)
