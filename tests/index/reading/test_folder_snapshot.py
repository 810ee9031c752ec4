import os

import pytest

from stablenew import RunStore
from stablenew.index.reading.folder_snapshot import take_snapshot
from stablenew.store.run_folder import METADATA, SEAL
from tests import restless, samples


@pytest.fixture
def run_path(tmp_path):
    return samples.sealed_run(RunStore(tmp_path / "runs"), "first").path


@pytest.mark.heavy
@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_folder_whose_files_are_being_replaced_is_there_all_the_same(run_path, is_sealed):
    if not is_sealed:
        (run_path / SEAL).unlink()
    with restless.repeating(restless.REPLACE_FILES, run_path / METADATA, run_path / "outputs" / "picture.png"):
        for _ in range(5000):
            assert METADATA in take_snapshot(os.fspath(run_path)).names


def test_a_folder_that_is_gone_or_none_raises(run_path):
    with pytest.raises(FileNotFoundError):
        take_snapshot(os.fspath(run_path / "missing"))
    with pytest.raises(NotADirectoryError):
        take_snapshot(os.fspath(run_path / METADATA))


def test_what_is_to_be_read_is_read_with_the_look_and_changes_no_signature(run_path):
    plain = take_snapshot(os.fspath(run_path))
    look = take_snapshot(os.fspath(run_path), {METADATA: 1 << 20, SEAL: 4}.get)
    assert (look.folder_signature, look.file_signature) == (plain.folder_signature, plain.file_signature)
    assert (look.names, look.newest_ns, plain.contents) == (plain.names, plain.newest_ns, {})
    assert look.contents.keys() == {METADATA, SEAL}
    assert look.contents[METADATA] == (run_path / METADATA).read_bytes()
    assert isinstance(look.contents[SEAL], OSError)  # longer than it may be
