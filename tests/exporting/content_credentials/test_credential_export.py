"""Copies of images with Content Credentials, judged by the reader of the C2PA project."""

import io
import json

import pytest

pytest.importorskip("c2pa", reason="needs pip install 'stablenew[c2pa]'")

import c2pa

from stablenew import JobHistory, RunStore
from stablenew.errors import ConfigError
from stablenew.exporting.content_credentials.credential_export import CredentialOptions, export_credentials
from stablenew.exporting.content_credentials.manifest import GENERATION
from stablenew.exporting.content_credentials.signing_identity import (
    identity_paths,
    make_identity,
    read_identity,
)
from stablenew.exporting.image_places import ImagePlaces
from stablenew.importing.importer import Importer
from tests.controller.light_table_stores import add_images
from tests.importing.images import fill

SEED = 2**63 + 5


@pytest.fixture
def identity():
    make_identity("A. Tester")
    return read_identity()


def find(root):
    history = JobHistory(root)
    history.refresh(is_patient=True)
    try:
        return history.find_images("", limit=100).rows
    finally:
        history.close()


def export(store, folder, identity, **options):
    return export_credentials(ImagePlaces(store), find(store.root), folder, identity, CredentialOptions(**options))


def read(data, media_type="image/png", statement=None):
    """The verdict of the reader, and the active manifest."""
    reader = c2pa.Reader(media_type, io.BytesIO(data), statement)
    said = json.loads(reader.json())
    return reader.get_validation_state(), said["manifests"][said["active_manifest"]]


def assertion(manifest, label):
    return next(part["data"] for part in manifest["assertions"] if part["label"] == label)


@pytest.fixture
def images(store):
    add_images(store, "first", {"seed": SEED, "prompt": "a secret lake"}, {"seed": 7})
    return store


def test_a_signed_copy_is_valid_and_says_what_made_it(images, tmp_path, identity):
    report = export(images, tmp_path / "out", identity)
    assert (len(report.names), report.problems) == (2, [])
    found = [read((tmp_path / "out" / name).read_bytes()) for name in report.names]
    assert {state for state, _ in found} == {"Valid"}
    settings = {assertion(manifest, GENERATION)["settings"]["seed"] for _, manifest in found}
    assert settings == {str(SEED), "7"}
    (action,) = assertion(found[0][1], "c2pa.actions.v2")["actions"]
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert found[0][1]["signature_info"]["common_name"] == "A. Tester"


def test_one_flipped_bit_is_invalid(images, tmp_path, identity):
    name = export(images, tmp_path / "out", identity).names[0]
    data = bytearray((tmp_path / "out" / name).read_bytes())
    data[data.index(b"IDAT") + 6] ^= 1
    assert read(bytes(data))[0] == "Invalid"


def test_a_detached_statement_leaves_the_copy_as_recorded(images, tmp_path, identity):
    name = export(images, tmp_path / "out", identity, is_detached=True).names[0]
    copy, statement = tmp_path / "out" / name, tmp_path / "out" / f"{name}.c2pa"
    originals = {path.read_bytes() for path in images.open("first").path.glob("outputs/*.png")}
    assert copy.read_bytes() in originals
    assert read(copy.read_bytes(), statement=statement.read_bytes())[0] == "Valid"
    other = next(data for data in originals if data != copy.read_bytes())
    assert read(other, statement=statement.read_bytes())[0] == "Invalid"


def test_a_prompt_is_left_out_of_the_statement_on_request(images, tmp_path, identity):
    for name in export(images, tmp_path / "out", identity, with_prompt=False).names:
        assert b"secret lake" not in (tmp_path / "out" / name).read_bytes()


def test_originals_and_what_was_exported_before_stay(images, tmp_path, identity):
    before = {path: path.read_bytes() for path in images.open("first").path.rglob("*") if path.is_file()}
    export(images, tmp_path / "out", identity)
    exported = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    report = export(images, tmp_path / "out", identity)
    assert (report.names, len(report.problems)) == ([], 2)
    assert {path: path.read_bytes() for path in exported} == exported
    assert {path: path.read_bytes() for path in before} == before


def test_an_image_that_has_credentials_keeps_them(images, tmp_path, identity):
    export(images, tmp_path / "signed", identity)
    others = RunStore(tmp_path / "others")
    Importer(others, takes_all=True).run(tmp_path / "signed")
    report = export(others, tmp_path / "again", identity)
    assert report.names == []
    assert all("Content Credentials already" in problem for problem in report.problems)
    assert len(report.problems) == 2


def test_an_imported_image_names_the_program_that_made_it(store, tmp_path, identity):
    fill(tmp_path / "outputs", 1)
    Importer(store).run(tmp_path / "outputs")
    (name,) = export(store, tmp_path / "out", identity).names
    (action,) = assertion(read((tmp_path / "out" / name).read_bytes())[1], "c2pa.actions.v2")["actions"]
    assert action["softwareAgent"] == {"name": "A1111"}


@pytest.mark.parametrize(
    ("name", "found"), [("", "found 0"), ("é" * 27, "found 54"), ("x" * 54, "found 54"), ("a\udcff", "UTF-8")]
)
def test_a_name_that_no_certificate_can_hold_is_refused(name, found):
    with pytest.raises(ConfigError, match=found):
        make_identity(name)


def test_the_longest_name_that_fits_makes_a_certificate(monkeypatch, tmp_path):
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "state"))
    make_identity("é" * 26 + "x")
    assert read_identity().chain.count(b"BEGIN CERTIFICATE") == 2


def test_a_certificate_is_made_once_and_for_its_owner_only(identity):
    with pytest.raises(ConfigError, match="already"):
        make_identity("Somebody else")
    assert read_identity() == identity
    assert identity_paths()[1].parent.stat().st_mode & 0o077 == 0


def test_without_a_certificate_the_command_that_makes_one_is_named():
    with pytest.raises(ConfigError, match="stablenew export certificate"):
        read_identity()
