"""The certificate of the door to the network, and the link that pairs a device."""

import stat
import sys
from datetime import UTC, datetime, timedelta

import pytest

from stablenew.web.lan.certificate import check_packages, ensure_certificate
from stablenew.web.lan.qr_code import build_pairing_link, draw_for_page, draw_for_terminal
from tests.lanes import require

ADDRESS = "192.168.1.2"


@pytest.fixture(autouse=True)
def _packages():
    require("cryptography", "segno", extra="lan")
    check_packages()


def read(files):
    from cryptography import x509

    return x509.load_pem_x509_certificate(files.certificate.read_bytes())


def test_a_certificate_is_for_one_address_and_for_nothing_but_being_a_server():
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    certificate = read(ensure_certificate(ADDRESS))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == [ADDRESS]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    certificate.verify_directly_issued_by(certificate)


def test_no_browser_finds_it_good_for_too_long_and_no_clock_finds_it_from_the_future():
    certificate = read(ensure_certificate(ADDRESS))
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=397)
    assert certificate.not_valid_before_utc < datetime.now(UTC) - timedelta(hours=23)


def test_it_is_made_once_for_each_address_so_that_its_fingerprint_stays():
    first, again, other = (ensure_certificate(address) for address in (ADDRESS, ADDRESS, "192.168.1.3"))
    assert first == again
    assert first.fingerprint != other.fingerprint
    assert len(first.fingerprint.split(":")) == 32


@pytest.mark.parametrize("name", ["certificate", "key"])
@pytest.mark.parametrize("data", [None, b"", b"damaged", b"-----BEGIN CERTIFICATE-----\n"])
def test_one_that_is_damaged_or_gone_is_made_again(name, data):
    first = ensure_certificate(ADDRESS)
    path = getattr(first, name)
    path.chmod(0o600)
    path.unlink() if data is None else path.write_bytes(data)
    again = ensure_certificate(ADDRESS)
    assert again.fingerprint != first.fingerprint
    assert ensure_certificate(ADDRESS) == again


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nobody_else_may_read_the_key():
    files = ensure_certificate(ADDRESS)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.key.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(("code", "after"), [("ABCD-2345", "ABCD-2345"), ("a b", "a%20b"), ("a#b", "a%23b")])
def test_the_code_stands_where_no_server_sees_it(code, after):
    assert build_pairing_link("https://h:8443", code) == f"https://h:8443/pair#{after}"


def test_a_code_is_drawn_as_a_square_twice_as_wide_as_high_and_as_a_picture():
    link = build_pairing_link("https://192.168.1.2:8443", "ABCD-2345")
    lines = draw_for_terminal(link).splitlines()
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines) == (len(lines[0]) + 1) // 2
    assert set("".join(lines)) <= set("█▀▄ ")
    assert draw_for_page(link).startswith("data:image/svg+xml")
