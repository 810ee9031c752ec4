"""What an import remembers of a store: images that runs describe, files that were looked at."""

import os

import pytest

from stablenew.importing.folder_walk import FoundFile
from stablenew.importing.known_images import KnownImages
from stablenew.store.upkeep.run_removal import remove_run
from tests import samples

FILE = FoundFile("folder/a.png", 10, 20)


@pytest.fixture
def known(store):
    with KnownImages(store) as known:
        yield known


def digests(run):
    return [output.digest for _, output in run.iter_outputs()]


def test_images_of_runs_are_known_after_a_look_however_they_came(store, known):
    run = samples.sealed_run(store, "one")
    assert not known.has(digests(run)[0])
    known.refresh()
    assert all(map(known.has, digests(run)))
    assert not known.has(samples.digest_of(1))


def test_images_of_a_run_that_is_gone_are_forgotten_but_those_of_others_stay(store, known):
    one, two = samples.sealed_run(store, "one"), samples.sealed_run(store, "two")
    gone, kept = digests(one)[0], digests(two)[0]
    known.add(two, [kept, gone])
    known.refresh()
    remove_run(one)
    known.refresh()
    assert known.has(kept)
    assert known.has(gone), "another run describes it too"
    remove_run(two)
    known.refresh()
    assert not known.has(kept)
    assert not known.has(gone)


def test_an_unsealed_run_is_looked_at_again_when_it_has_grown(store, known):
    writer = store.create(samples.metadata("growing"))
    samples.write_variant(writer, 0)
    known.refresh()
    samples.write_variant(writer, 1)
    os.utime(writer.run.path, ns=(5, 5))
    known.refresh()
    assert all(map(known.has, digests(writer.run)))
    writer.abandon()


def test_a_run_that_was_just_sealed_is_known_at_once(store, known):
    run = samples.sealed_run(store, "one")
    known.add(run, digests(run))
    assert all(map(known.has, digests(run)))


def test_a_run_that_cannot_be_read_hides_no_other(store, known):
    broken, whole = samples.sealed_run(store, "broken"), samples.sealed_run(store, "whole")
    lost = digests(broken)
    (broken.path / "records.jsonl").chmod(0o644)
    (broken.path / "records.jsonl").write_bytes(b"\xff" * 20)
    known.refresh()
    assert all(map(known.has, digests(whole)))
    assert not any(map(known.has, lost))


@pytest.mark.parametrize(
    "changed", [FILE._replace(size_bytes=11), FILE._replace(modified_ns=21), FILE._replace(path="folder/b.png")]
)
def test_a_file_is_known_as_long_as_it_looks_the_same(known, changed):
    assert known.outcome("root", FILE) is None
    known.note("root", [(FILE, "taken")])
    assert known.outcome("root", FILE) == "taken"
    assert known.outcome("root", changed) is None
    assert known.outcome("another", FILE) is None


def test_the_last_outcome_of_a_file_counts(known):
    known.note("root", [(FILE, "cut off"), (FILE._replace(size_bytes=12), "taken")])
    assert known.outcome("root", FILE) is None
    assert known.outcomes("root") == {"folder/a.png": (12, 20, "taken")}


def test_files_that_are_forgotten_are_new_again(known):
    other = FILE._replace(path="b.png")
    known.note("root", [(FILE, "taken"), (other, "taken")])
    known.note("another", [(FILE, "taken")])
    known.forget_files("root", [FILE.path, "never seen"])
    assert list(known.outcomes("root")) == ["b.png"]
    assert list(known.outcomes("another")) == [FILE.path]


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.png"), "café.png", "a\nb.png"])
def test_a_name_of_any_bytes_is_remembered(known, name):
    file = FILE._replace(path=name, modified_ns=-(2**63) + 1)
    known.note("root", [(file, "taken")])
    assert known.outcome("root", file) == "taken"
    assert list(known.outcomes("root")) == [name]


def test_a_note_that_fails_leaves_the_others_as_they_were(known):
    def outcomes():
        yield FILE, "taken"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        known.note("root", outcomes())
    assert known.outcomes("root") == {}
    known.note("root", [(FILE, "taken")])


def test_what_is_known_outlives_the_process(store, known):
    known.note("root", [(FILE, "taken")])
    with KnownImages(store) as again:
        assert again.outcome("root", FILE) == "taken"


@pytest.mark.parametrize("damage", [b"no database at all", b"SQLite format 3\0" + bytes(100)], ids=["text", "head"])
def test_a_cache_that_cannot_be_read_is_made_again(store, damage):
    with KnownImages(store) as known:
        known.note("root", [(FILE, "taken")])
        path = known._path
    path.write_bytes(damage)
    run = samples.sealed_run(store, "one")
    with KnownImages(store) as known:
        assert known.outcomes("root") == {}
        known.refresh()
        assert all(map(known.has, digests(run)))


def test_a_cache_of_a_later_version_is_made_again(store):
    with KnownImages(store) as known:
        known.note("root", [(FILE, "taken")])
        known._connection.execute("PRAGMA user_version=99")
    with KnownImages(store) as known:
        assert known.outcomes("root") == {}


def test_two_imports_do_not_write_at_once(store, known):
    with known.exclusively(), KnownImages(store) as other:
        assert other.outcome("root", FILE) is None, "reading waits for nobody"
