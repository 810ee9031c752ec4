"""Taking the bytes of outputs away on purpose: only recorded bytes of sealed runs, and of no other file."""

import pytest

from stablenew.formats.digest import digest_bytes
from stablenew.store.upkeep.output_removal import NotRemoved, iter_removable
from tests.store.run_files import held_output, record_line, seal_run, write_run

A, B = held_output("outputs/a.png", b"a"), held_output("outputs/b.png", b"b")
DIGEST = digest_bytes(b"a")


@pytest.fixture
def run(tmp_path):
    """A sealed run with two images, of which one stands in two variants."""
    files = {A["path"]: b"a", B["path"]: b"b", "outputs/twin.png": b"a"}
    lines = [record_line(0, [A, B]), record_line(1, [A | {"path": "outputs/twin.png"}])]
    return seal_run(write_run(tmp_path, lines, files=files, status="completed"))


def test_every_file_with_the_bytes_is_taken_away_and_no_other(run):
    found = list(iter_removable(run, DIGEST))
    assert [one.output.path for one in found] == ["outputs/a.png", "outputs/twin.png"]
    assert len({one.file_key for one in found}) == 2
    assert not any(one.is_in_place for one in found)
    for one in found:
        one.remove()
    assert sorted(path.name for path in (run.path / "outputs").iterdir()) == ["b.png"]


def test_nothing_is_touched_by_looking(run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    assert len(list(iter_removable(run, DIGEST))) == 2
    assert list(iter_removable(run, digest_bytes(b"never recorded"))) == []
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_a_file_that_two_outputs_share_is_known_as_one(run):
    (run.path / "outputs" / "twin.png").unlink()
    (run.path / "outputs" / "twin.png").hardlink_to(run.path / A["path"])
    assert len({found.file_key for found in iter_removable(run, DIGEST)}) == 1


@pytest.mark.parametrize("data", [b"x", b"", b"aa"])
def test_bytes_that_are_not_the_recorded_ones_stay(run, data):
    (run.path / "run_metadata.json").touch()
    (run.path / A["path"]).write_bytes(data)
    with pytest.raises(NotRemoved, match="is incomplete; only outputs of sealed runs|is not what was recorded"):
        list(iter_removable(run, DIGEST))
    assert (run.path / A["path"]).read_bytes() == data


def test_a_run_that_is_not_sealed_keeps_everything(tmp_path):
    run = write_run(tmp_path, [record_line(0, [A])], files={A["path"]: b"a"})
    with pytest.raises(NotRemoved, match="run run is incomplete; only outputs of sealed runs are removed"):
        list(iter_removable(run, DIGEST))


def test_a_file_that_cannot_be_deleted_is_said_to_be_there_still(run):
    found, _ = iter_removable(run, DIGEST)
    found.path.unlink()
    found.path.mkdir()
    with pytest.raises(NotRemoved, match=r"a\.png could not be deleted: "):
        found.remove()
