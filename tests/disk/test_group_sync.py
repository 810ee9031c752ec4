"""Waiting for the disk: one work after the other, or many in step."""

import errno
import os

import pytest

from stablenew.disk import group_sync
from stablenew.disk.atomic_file import replace_file_steps
from stablenew.disk.group_sync import file_steps, perform, perform_together
from stablenew.errors import SyncFailed, WriteFailed

MANY = 40


@pytest.fixture
def files(tmp_path):
    descriptors = [os.open(tmp_path / f"{number}", os.O_CREAT | os.O_RDWR) for number in range(MANY)]
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def refuse(monkeypatch, *bad):
    """The disk takes nothing that is written to `bad` descriptors. Returns what it was asked for, as it grows."""
    asked = []

    def fsync(descriptor):
        asked.append(descriptor)
        if descriptor in bad:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(group_sync.os, "fsync", fsync)
    return asked


def two_steps(first, second, log):
    yield from file_steps(first)
    log.append(("first", first))
    yield from file_steps(second)
    return first + second


def test_a_work_goes_on_when_the_disk_has_what_it_waits_for(files, monkeypatch):
    asked, log = refuse(monkeypatch), []
    assert perform(two_steps(files[0], files[1], log)) == files[0] + files[1]
    assert asked == files[:2]
    assert log == [("first", files[0])]


def test_a_refusal_of_the_disk_is_raised_where_the_work_waits(files, monkeypatch):
    asked, log = refuse(monkeypatch, files[0]), []
    with pytest.raises(SyncFailed, match="Input/output"):
        perform(two_steps(files[0], files[1], log))
    assert (asked, log) == ([files[0]], [])


@pytest.mark.parametrize("count", [0, 1, 3, 4, 17, MANY])
def test_many_go_in_step_and_each_keeps_its_order(files, monkeypatch, count):
    asked, log = refuse(monkeypatch), []
    works = [two_steps(one, one, log) for one in files[:count]]
    assert perform_together(works) == [2 * one for one in files[:count]]
    assert sorted(asked[:count]) == files[:count]  # the first steps of all come before the second of any
    assert sorted(asked[count:]) == files[:count]


def test_one_that_fails_stops_no_other(files, monkeypatch):
    asked, log = refuse(monkeypatch, files[3], files[20]), []
    results = perform_together([two_steps(one, one, log) for one in files])
    failed = [number for number, result in enumerate(results) if isinstance(result, SyncFailed)]
    assert failed == [3, 20]
    assert [result for result in results if isinstance(result, int)] == [
        2 * one for number, one in enumerate(files) if number not in failed
    ]
    assert asked.count(files[3]) == asked.count(files[20]) == 1  # never asked again


def test_works_of_different_length_end_by_themselves(files):
    def short(descriptor):
        yield from file_steps(descriptor)
        return "short"

    def none():
        return "none"
        yield

    assert perform_together([short(files[0]), none(), two_steps(files[1], files[2], [])]) == [
        "short",
        "none",
        files[1] + files[2],
    ]


def test_what_is_no_failure_of_the_disk_is_not_kept_quiet(files):
    def wrong(descriptor):
        yield from file_steps(descriptor)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        perform_together([wrong(one) for one in files])


def test_files_replaced_together_are_old_or_new_and_leave_nothing_else(tmp_path, monkeypatch):
    paths = [tmp_path / f"{number}.json" for number in range(MANY)]
    for path in paths:
        path.write_bytes(b"old")
    real, asked = os.fsync, []

    def fsync(descriptor):
        asked.append(descriptor)
        if len(asked) % 7 == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(group_sync.os, "fsync", fsync)
    results = perform_together([replace_file_steps(path, b"new") for path in paths])
    assert any(isinstance(one, WriteFailed) for one in results)
    for path, result in zip(paths, results, strict=True):
        assert path.read_bytes() == b"new" if result is None else path.read_bytes() in {b"old", b"new"}
        if isinstance(result, WriteFailed):
            assert result.filename in {str(path), str(tmp_path)}
    assert sorted(tmp_path.iterdir()) == sorted(paths)
