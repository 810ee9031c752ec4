"""SHA-256 of model files: known at once where that is quick or was done before, and of no other file."""

import hashlib
import os

import pytest

from stablenew.store import file_hashes
from stablenew.store.file_hashes import (
    PENDING,
    find_pending,
    find_sha256,
    identify_file,
    is_coming,
    main,
    note_pending,
    remember_sha256,
)

SHA256 = hashlib.sha256(b"weights").hexdigest()


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """What would have been hashed beside; nothing is known from earlier tests, and everything counts as large."""
    commands = []
    monkeypatch.setattr(file_hashes, "start_beside", lambda *command: commands.append(command))
    for known in ("_known", "_started"):
        getattr(file_hashes, known).clear()
    monkeypatch.setattr(file_hashes, "_SMALL_BYTES", 3)
    return commands


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


def sha256_of(path):
    return find_sha256([identify_file(path)])[identify_file(path)]


def test_a_small_file_is_hashed_at_once(tmp_path, started):
    (tmp_path / "lora").write_bytes(b"abc")
    assert sha256_of(tmp_path / "lora") == hashlib.sha256(b"abc").hexdigest()
    assert started == []


def test_a_large_file_is_pending_and_hashed_beside_once(model, started):
    assert sha256_of(model) == PENDING
    assert sha256_of(model) == PENDING
    assert started == [("stablenew.store.file_hashes", str(model))]
    assert main([str(model), str(model.with_name("missing"))]) == 0
    assert sha256_of(model) == SHA256


def test_a_hash_is_remembered_for_this_very_file(model):
    assert remember_sha256(model) == SHA256
    assert sha256_of(model) == SHA256
    os.utime(model, ns=(1, 1))
    assert sha256_of(model) == PENDING
    model.write_bytes(b"WEIGHTS")
    assert sha256_of(model) == PENDING


def test_a_link_is_the_file_that_it_leads_to(model, tmp_path):
    (tmp_path / "link").symlink_to(model)
    assert identify_file(tmp_path / "link") == identify_file(model)
    remember_sha256(tmp_path / "link")
    assert sha256_of(model) == SHA256
    with pytest.raises(OSError, match="No such file"):
        identify_file(tmp_path / "missing")


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"5", b"{}", b"null", b'{"path": "x"}'])
def test_a_memory_that_is_damaged_is_none(model, junk):
    remember_sha256(model)
    (place,) = (file_hashes.state_folder() / "file_hashes").iterdir()
    place.write_bytes(junk)
    assert sha256_of(model) == PENDING


def test_a_file_that_changes_while_it_is_hashed_has_no_hash(model, monkeypatch):
    identity = identify_file(model)
    monkeypatch.setattr(file_hashes, "identify_file", lambda path: identity._replace(inode=identity.inode + 1))
    assert file_hashes._hash(identity) is None


def test_what_was_pending_in_a_run_is_found_when_it_is_known(model):
    note_pending("run", {"model": identify_file(model)})
    assert (find_pending("run", "model"), is_coming("run", "model")) == (None, True)
    remember_sha256(model)
    assert find_pending("run", "model") == SHA256
    os.utime(model, ns=(1, 1))
    assert (find_pending("run", "model"), is_coming("run", "model")) == (SHA256, False)


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"{}", b'{"model": 5}', b'{"model": {"path": "x"}}'])
def test_a_note_that_is_damaged_says_nothing(model, note):
    note_pending("run", {"model": identify_file(model)})
    (place,) = (file_hashes.state_folder() / "pending_hashes").iterdir()
    place.write_bytes(note)
    assert (find_pending("run", "model"), is_coming("run", "model")) == (None, False)
    assert find_pending("run", "other") is None
    assert find_pending("other", "model") is None
