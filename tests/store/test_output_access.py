"""A record names a file of this machine; it is given only if everything about it is as it was recorded."""

import base64
import hashlib
import os
import shutil

import pytest

from stablenew.errors import OutputNotFound
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.output_reference import OutputReference
from stablenew.store.output_access import CHANGED, IN_PLACE, MISSING, open_output, place_of
from stablenew.store.run import Run
from stablenew.store.source_roots import SourceRoots

DATA = b"the bytes of an image"


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "runs" / "a-run")


@pytest.fixture
def root(tmp_path, run):
    folder = tmp_path / "outputs"
    (folder / "day").mkdir(parents=True)
    (folder / "day" / "a.png").write_bytes(DATA)
    return SourceRoots(run.path.parent).add(folder)


def reference(root_id, path="day/a.png", data=DATA, **changes):
    origin = {"root": root_id, "path": path, "name": path.rpartition("/")[2], **changes.pop("origin", {})}
    fields = {
        "origin": origin, "digest": digest_bytes(data), "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data), "media_type": "image/png", "stage": "txt2img",
    }  # fmt: skip
    return OutputReference.model_construct(**{**fields, **changes, "origin": _origin(origin)})


def _origin(fields):
    from stablenew.formats.documents.output_reference import Origin

    return Origin.model_construct(**{"path_bytes": None, "modified_at": None, **fields})


def test_the_recorded_file_is_given(run, root):
    with open_output(run, reference(root.id)) as file:
        assert file.read() == DATA
    assert place_of(run, reference(root.id)) == IN_PLACE


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "day/../../secret.txt", "/etc/passwd", "day//a.png", "./day/a.png", "day/a.png\0x", "", "C:/x"],
)
def test_a_path_that_leaves_the_source_is_not_opened(run, root, tmp_path, path):
    (tmp_path / "secret.txt").write_bytes(DATA)
    with pytest.raises(OutputNotFound):
        open_output(run, reference(root.id, path))
    hidden = base64.b64encode(b"../secret.txt").decode()
    with pytest.raises(OutputNotFound):
        open_output(run, reference(root.id, origin={"path_bytes": hidden}))


def test_links_are_not_followed_on_the_way_or_at_the_end(run, root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").write_bytes(DATA)
    (root.path / "linked").symlink_to(tmp_path / "elsewhere")
    (root.path / "day" / "link.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    for path in ("linked/a.png", "day/link.png"):
        with pytest.raises(OutputNotFound):
            open_output(run, reference(root.id, path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_or_a_folder_is_not_waited_for(run, root):
    os.mkfifo(root.path / "pipe.png")
    for path in ("pipe.png", "day"):
        with pytest.raises(OutputNotFound):
            open_output(run, reference(root.id, path))


def test_a_source_counts_only_for_the_store_it_was_added_to(run, root, tmp_path):
    other = Run(tmp_path / "other runs" / "a-run")
    with pytest.raises(OutputNotFound, match="this machine does not know"):
        open_output(other, reference(root.id))
    with pytest.raises(OutputNotFound, match="sources move elsewhere"):
        open_output(run, reference("elsewhere"))


def test_other_bytes_of_the_same_length_are_not_given(run, root):
    asked = reference(root.id)
    (root.path / "day" / "a.png").write_bytes(DATA[::-1])
    with pytest.raises(OutputNotFound, match="its SHA-256 is another one"):
        open_output(run, asked)
    assert place_of(run, asked) == CHANGED


def test_a_longer_file_is_not_given_and_a_missing_one_is_said_to_be_missing(run, root):
    (root.path / "day" / "a.png").write_bytes(DATA + b"x")
    assert place_of(run, reference(root.id)) == CHANGED
    (root.path / "day" / "a.png").unlink()
    assert place_of(run, reference(root.id)) == MISSING


def test_without_a_sha256_nothing_is_given(run, root):
    with pytest.raises(OutputNotFound, match="no SHA-256"):
        open_output(run, reference(root.id, sha256=None))


def test_a_moved_source_is_found_where_it_is_now(run, root, tmp_path):
    shutil.move(root.path, tmp_path / "new place")
    assert place_of(run, reference(root.id)) == MISSING
    SourceRoots(run.path.parent).move(root.id, tmp_path / "new place")
    assert place_of(run, reference(root.id)) == IN_PLACE
