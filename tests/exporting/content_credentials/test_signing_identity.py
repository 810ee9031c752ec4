"""The certificate that signs exports: made once, for a name that certificates can hold."""

import stat
import sys

import pytest

from stablenew.errors import ConfigError
from stablenew.exporting.content_credentials.manifest import build_manifest
from stablenew.exporting.content_credentials.signing_identity import identity_paths, make_identity, read_identity
from stablenew.exporting.maker import Maker
from tests.lanes import require

IMAGE = {
    "digest": "xxh128:1", "created_at": "2026-11-22T00:00:00.000Z", "settings": {"seed": 2**60, "cfg_scale": 7.5},
    "prompt": "a secret", "negative": None, "path": "/home/secret/a.png", "rating": 5, "tags": ["secret"],
}  # fmt: skip


def test_without_a_certificate_the_command_that_makes_one_is_named():
    with pytest.raises(ConfigError, match="`stablenew export certificate NAME` makes one"):
        read_identity()


@pytest.mark.parametrize("name", ["", "x" * 54, "é" * 27, "\ud800"])
def test_a_name_that_no_certificate_can_hold_is_refused_before_anything_is_made(name):
    require("cryptography", extra="c2pa")
    with pytest.raises(ConfigError, match="expected a name"):
        make_identity(name)
    assert not identity_paths()[1].exists()


@pytest.mark.parametrize("name", ["A", "Ann Example", "é" * 26, "x" * 53])
def test_a_certificate_is_for_that_name_and_signed_by_an_authority_of_its_own(name):
    require("cryptography", extra="c2pa")
    from cryptography import x509

    make_identity(name)
    own, authority = x509.load_pem_x509_certificates(read_identity().chain)
    assert own.subject.rfc4514_string().startswith(f"CN={name}")
    assert own.issuer == authority.subject == authority.issuer
    own.verify_directly_issued_by(authority)
    assert not own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_is_made_once_and_for_this_user_alone():
    require("cryptography", extra="c2pa")
    make_identity("Ann")
    before = read_identity()
    with pytest.raises(ConfigError, match="there is a certificate already"):
        make_identity("Ann")
    assert read_identity() == before
    if sys.platform != "win32":
        assert stat.S_IMODE(identity_paths()[1].parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("with_prompt", [True, False])
def test_a_manifest_says_how_an_image_came_to_be_and_its_words_only_where_that_is_wanted(with_prompt):
    manifest = build_manifest(IMAGE, Maker("webui", "1.10"), "a.png", with_prompt=with_prompt)
    actions, generation = (assertion["data"] for assertion in manifest["assertions"])
    (created,) = actions["actions"]
    assert (created["action"], created["when"]) == ("c2pa.created", IMAGE["created_at"])
    assert created["softwareAgent"] == {"name": "webui", "version": "1.10"}
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert generation["settings"] == {"seed": str(2**60), "cfg_scale": "7.5"}
    assert ("prompt" in generation, "secret" in str(manifest)) == (with_prompt, with_prompt)


def test_a_program_without_a_version_has_none_in_the_manifest():
    (created,) = build_manifest(IMAGE, Maker("x"), "t", with_prompt=False)["assertions"][0]["data"]["actions"]
    assert created["softwareAgent"] == {"name": "x"}
