"""Outputs on disk: hashed while they are written, named by their digest, and never half there."""

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.disk.group_sync import perform, perform_together, results_of
from stablenew.errors import WriteFailed
from stablenew.formats.digest import digest_bytes
from stablenew.store.output_store import StoredOutput, hash_file, write_output_steps

KINDS = {
    "bytes": lambda data, folder: data,
    "chunks": lambda data, folder: (data[start : start + 99_999] for start in range(0, len(data), 99_999)),
    "file": lambda data, folder: place_file(folder, data),
}


def place_file(folder, data):
    path = folder / "elsewhere.png"
    path.write_bytes(data)
    return path


def place(digest):
    return f"outputs/{digest[7:19]}.png"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run" / "outputs").mkdir(parents=True)
    return tmp_path / "run"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", b"a", b"harbour" * 400_000])
def test_an_output_is_named_and_hashed_by_its_bytes(run, tmp_path, kind, data):
    stored = perform(write_output_steps(run, KINDS[kind](data, tmp_path), place))
    digest = digest_bytes(data)
    assert stored == StoredOutput(place(digest), digest, hashlib.sha256(data).hexdigest(), len(data))
    assert (run / stored.path).read_bytes() == data
    assert os.listdir(run / "outputs") == [stored.path.partition("/")[2]]


def test_a_digest_that_is_known_is_taken_for_true_and_the_sha256_is_not(run):
    known = digest_bytes(b"something else")
    stored = perform(write_output_steps(run, b"harbour", place, digest=known))
    assert stored.path == place(known)
    assert stored.digest == known
    assert stored.sha256 == hashlib.sha256(b"harbour").hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_is_there_already_stays_as_it_is(run, tmp_path, kind):
    (run / place(digest_bytes(b"harbour"))).write_bytes(b"older")
    with pytest.raises(WriteFailed, match="is there already; a variant writes each of its outputs once"):
        perform(write_output_steps(run, KINDS[kind](b"harbour", tmp_path), place))
    assert (run / place(digest_bytes(b"harbour"))).read_bytes() == b"older"
    assert len(os.listdir(run / "outputs")) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_a_broken_link_in_its_place_is_not_written_through(run, tmp_path):
    (run / place(digest_bytes(b"harbour"))).symlink_to(tmp_path / "nowhere")
    with pytest.raises(WriteFailed):
        perform(write_output_steps(run, b"harbour", place))
    assert not (tmp_path / "nowhere").exists()


def test_chunks_that_end_in_an_error_leave_nothing_behind(run):
    def chunks():
        yield b"har"
        raise ValueError("the engine broke off")

    with pytest.raises(ValueError, match="broke off"):
        perform(write_output_steps(run, chunks(), place))
    assert os.listdir(run / "outputs") == []


def test_a_file_that_is_not_there_is_an_error_and_leaves_nothing_behind(run, tmp_path):
    with pytest.raises(OSError):
        perform(write_output_steps(run, tmp_path / "absent.png", place))
    assert os.listdir(run / "outputs") == []


def test_one_that_fails_among_many_stops_no_other(run):
    datas = [b"one", b"two", b"one", b"three"]
    outcomes = perform_together([write_output_steps(run, data, place) for data in datas])
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(failed) == 1
    assert sorted(os.listdir(run / "outputs")) == sorted(place(digest_bytes(data))[8:] for data in {*datas})
    with pytest.raises(WriteFailed):
        results_of(outcomes)


@given(st.binary(max_size=2_000))
def test_a_file_has_the_hashes_of_its_bytes(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "hashed"
    path.write_bytes(data)
    hashes = hash_file(path)
    assert (hashes.digest, hashes.sha256, hashes.size_bytes) == (
        digest_bytes(data),
        hashlib.sha256(data).hexdigest(),
        len(data),
    )


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_hashing_follows_no_link(tmp_path):
    (tmp_path / "file").write_bytes(b"harbour")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(OSError):
        hash_file(tmp_path / "link")
