"""Pairing devices: codes that are good once, names that can be told apart, a file that lets nobody in by accident."""

import json
import stat
import sys

import pytest

from stablenew.errors import ConfigError
from stablenew.web.lan.device_book import CODE_SECONDS, MOST_WRONG_TRIES, DeviceBook, PairingRefused, check_name
from stablenew.web.lan.roles import Role
from tests.web.lan.hand_clock import HandClock


@pytest.fixture
def clock():
    return HandClock(1_000.0)


@pytest.fixture
def book(tmp_path, clock):
    return DeviceBook(tmp_path / "runs", now=clock)


def pair(book, name="phone", code=None, taken=(), **invitation):
    return book.pair(code or book.invite(**invitation), name, "192.168.1.9", lambda: set(taken))


def file_of(book):
    return book._path


def test_a_device_is_found_by_its_token_and_by_nothing_else(book, tmp_path):
    device, token = pair(book)
    assert book.find(token) == device
    assert book.find(token + "x") is book.find("") is book.find("\ud800") is None
    assert book.has(device.id)
    assert DeviceBook(tmp_path / "other").devices() == ()


@pytest.mark.parametrize(
    ("role", "rater", "is_blind", "expected"),
    [("look", None, False, (Role.LOOK, "phone")), ("rate", "Anna", True, (Role.RATE, "Anna"))],
)
def test_a_device_becomes_what_it_was_invited_as(book, role, rater, is_blind, expected):
    device, _ = pair(book, role=role, rater=rater, is_blind=is_blind)
    viewer = device.to_viewer()
    assert (viewer.role, viewer.rater) == expected
    assert (viewer.is_blind, viewer.device_id, viewer.device_name) == (is_blind, device.id, "phone")
    assert viewer.is_device


@pytest.mark.parametrize("write", [str, str.lower, lambda code: code.replace("-", ""), lambda code: f" {code} "])
def test_a_code_may_be_typed_as_people_type(book, write):
    code = book.invite()
    assert len(code) == 9
    assert pair(book, code=write(code))[0].name == "phone"


def test_a_code_is_good_once(book):
    code = book.invite()
    pair(book, "one", code)
    with pytest.raises(PairingRefused, match="ask for a new one"):
        pair(book, "two", code)


def test_a_code_is_good_for_two_minutes(book, clock):
    code = book.invite()
    clock.time += CODE_SECONDS
    with pytest.raises(PairingRefused, match="too old"):
        pair(book, code=code)
    code = book.invite()
    clock.time += CODE_SECONDS - 0.01
    pair(book, code=code)


def test_a_new_code_makes_the_one_before_it_void(book):
    old = book.invite()
    book.invite()
    with pytest.raises(PairingRefused, match="the code is wrong"):
        pair(book, code=old)


def test_a_code_is_void_after_so_many_wrong_tries_and_not_before(book):
    for tries, is_good in ((MOST_WRONG_TRIES - 1, True), (MOST_WRONG_TRIES, False)):
        code = book.invite()
        for _ in range(tries):
            with pytest.raises(PairingRefused):
                pair(book, code="AAAA-AAAA")
        if is_good:
            pair(book, code=code)
        else:
            with pytest.raises(PairingRefused):
                pair(book, "another", code)


@pytest.mark.parametrize(
    ("name", "rater", "words"),
    [
        ("Phone", None, "another device has the name"),
        ("\uff50\uff48one", None, "another device has the name"),
        ("ANNA", None, "somebody else rates under the name"),
        ("me", None, "somebody else rates under the name"),
    ],
)
def test_a_name_that_is_taken_is_refused_and_the_code_stays_good(book, name, rater, words):
    pair(book, "phone", rater="Anna")
    code = book.invite(rater=rater)
    with pytest.raises(PairingRefused, match=words):
        pair(book, name, code, taken=["me"])
    assert pair(book, "tablet", code)[0].rater == "tablet"


def test_who_invites_may_give_a_name_that_somebody_rates_under(book):
    assert pair(book, "one", rater="me", taken=["me"])[0].rater == "me"
    assert pair(book, "anna", rater="me", taken=["me", "anna"])[0].rater == "me", "the device is only called so"


@pytest.mark.parametrize(
    ("name", "kept"), [("  my \t phone ", "my phone"), ("Cafe\u0301", "Café"), ("x" * 40, "x" * 40), ("手机", "手机")]
)
def test_a_name_is_kept_as_it_is_compared(name, kept):
    assert check_name(name) == kept


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "a*", "a?", 'a"', "a\0b", "a\u202eb", "\ud800"])
def test_a_name_that_a_search_could_not_find_is_refused(book, name):
    with pytest.raises(PairingRefused, match="expected a name of"):
        check_name(name)
    with pytest.raises(PairingRefused):
        book.invite(rater=name)


def test_an_invitation_needs_a_role_that_devices_have(book):
    with pytest.raises(ConfigError, match="expected a role of look or rate, found 'owner'"):
        book.invite("owner")


@pytest.mark.parametrize("name", ["phone", "PHONE ", "id"])
def test_a_device_is_revoked_by_its_name_or_id_and_its_token_is_no_good(book, tmp_path, name):
    device, token = pair(book)
    pair(book, "tablet")
    reader = DeviceBook(tmp_path / "runs")
    assert reader.find(token)
    assert book.revoke(device.id if name == "id" else name) == device
    assert reader.find(token) is None
    assert [one.name for one in reader.devices()] == ["tablet"]


def test_a_device_that_is_not_there_cannot_be_revoked(book):
    with pytest.raises(ConfigError, match="no device 'x'; none is paired"):
        book.revoke("x")
    pair(book, "phone")
    pair(book, "tablet")
    with pytest.raises(ConfigError, match="no device 'x'; there are phone, tablet"):
        book.revoke("x")


def test_neither_codes_nor_tokens_are_in_the_file(book):
    _, token = pair(book)
    code = book.invite()
    text = file_of(book).read_text()
    assert token not in text
    assert code not in text
    assert code.replace("-", "") not in text
    assert "token_hash" not in book.devices()[0].to_dict()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nobody_else_may_read_the_file(book):
    pair(book)
    assert stat.S_IMODE(file_of(book).stat().st_mode) == 0o600
    assert stat.S_IMODE(file_of(book).parent.stat().st_mode) == 0o700


DAMAGE = {
    "empty": lambda _: b"",
    "no JSON": lambda _: b"\xff\xfe",
    "a list": lambda _: b"[]",
    "null": lambda _: b"null",
    "a device without a token": lambda found: json.dumps(found | {"devices": [{"id": "x"}]}).encode(),
    "no devices": lambda _: b'{"invitation": null}',
    "more fields": lambda found: json.dumps(found | {"devices": [found["devices"][0] | {"more": 1}]}).encode(),
    "an owner": lambda found: json.dumps(found | {"devices": [found["devices"][0] | {"role": "owner"}]}).encode(),
    "devices are a number": lambda _: b'{"devices": 3, "invitation": null}',
    "a device is a number": lambda _: b'{"devices": [3], "invitation": null}',
    "nested": lambda _: b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_lets_nobody_in_and_the_next_device_is_paired(book, tmp_path, damage):
    _, token = pair(book)
    file_of(book).write_bytes(damage(json.loads(file_of(book).read_bytes())))
    fresh = DeviceBook(tmp_path / "runs")
    assert fresh.find(token) is None
    assert pair(fresh, "next")[0] in fresh.devices()


def test_no_more_devices_are_paired_than_anybody_has(book):
    pair(book, "0")
    found = json.loads(file_of(book).read_bytes())
    many = [found["devices"][0] | {"name": str(number), "rater": str(number)} for number in range(200)]
    file_of(book).write_text(json.dumps(found | {"devices": many}))
    with pytest.raises(PairingRefused, match="200 devices are paired already; revoke one first"):
        pair(book, "one more")
