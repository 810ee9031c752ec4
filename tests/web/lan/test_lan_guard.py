"""Who is let in from the network, decided on one request at a time; `test_lan` attacks a real server over HTTPS."""

import asyncio
import json

import pytest

from stablenew.web.guard import HEADERS
from stablenew.web.lan.device_book import DeviceBook
from stablenew.web.lan.lan_guard import LanGuard, find_role
from stablenew.web.lan.roles import ROLES, VIEWER, Role
from tests.coroutines import run_coroutine
from tests.web.asgi import Answer, ask, scope_of

ORIGIN = "https://192.168.1.2:8443"
HOST = {"Host": "192.168.1.2:8443"}
WRITING = HOST | {"Origin": ORIGIN, "Content_Type": "application/json", "Content_Length": "9"}
COOKIE = "__Host-stablenew-8443"


class File:
    data = b"the page that asks for a code"
    media_type = "text/html"


FILES = dict.fromkeys(("pair/pair.html", "pair/pair.js", "pair/pair.css"), File())


class Door:
    """A guard before an application that notes who got through to it."""

    def __init__(self, folder, **options):
        self.book = DeviceBook(folder)
        self.let_in = []
        given = {"origin": ORIGIN, "book": self.book, "files": FILES, "taken": set} | options
        self.guard = LanGuard(self.app, **given)

    async def app(self, scope, receive, send):
        self.let_in.append(scope[VIEWER])
        self.body = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    def ask(self, method, path, headers=(), **options):
        return ask(self.guard, method, path, headers or (HOST if method == "GET" else WRITING), **options)

    def pair(self, name="phone", address="192.168.1.9", code=None, **invitation):
        body = json.dumps({"code": code or self.book.invite(**invitation), "name": name}).encode()
        return self.ask("POST", "/pair", body=body, client=(address, 1))

    def enter(self, **invitation):
        """The headers of a device that was paired."""
        cookie = self.pair(**invitation).header("set-cookie").partition(";")[0]
        return {"Cookie": cookie}


@pytest.fixture
def door(tmp_path):
    return Door(tmp_path / "runs")


def test_a_stranger_is_led_to_the_page_that_asks_for_a_code(door):
    answer = door.ask("GET", "/")
    assert (answer.status, answer.header("location"), answer.body) == (303, "/pair", b"")
    for path in ("/pair", "/pair.js", "/pair.css"):
        assert door.ask("GET", path).body == File.data
        assert door.ask("HEAD", path, HOST).body == b""
    assert door.let_in == []


@pytest.mark.parametrize("path", ["/api/status", "/static/js/app.js", "//", "/pair/", "/outputs/r/1"])
def test_a_stranger_is_told_how_to_get_in_and_nothing_else(door, path):
    answer = door.ask("GET", path)
    assert answer.status == 401
    assert answer.error == "this device is not paired; open /pair and enter the code that the computer shows"
    assert dict(HEADERS).items() <= dict(answer.headers).items()


def test_a_code_makes_a_device_which_is_let_in_from_then_on(door):
    answer = door.pair("phone", role="rate", rater="Anna", is_blind=True)
    assert json.loads(answer.body) == {"name": "phone", "role": "rate"}
    cookie = answer.header("set-cookie")
    assert cookie.startswith(f"{COOKIE}=")
    assert cookie.endswith("HttpOnly; SameSite=Strict; Secure")
    inside = door.ask("GET", "/api/status", HOST | {"Cookie": cookie.partition(";")[0]})
    assert (inside.status, inside.body) == (200, b"inside")
    (viewer,) = door.let_in
    assert (viewer.role, viewer.rater, viewer.is_blind, viewer.device_name) == (Role.RATE, "Anna", True, "phone")


def test_over_plain_http_the_cookie_has_another_name_and_is_not_said_to_be_secure(tmp_path):
    door = Door(tmp_path, origin="http://192.168.1.2:8443")
    headers = WRITING | {"Origin": "http://192.168.1.2:8443"}
    body = json.dumps({"code": door.book.invite(), "name": "phone"}).encode()
    cookie = ask(door.guard, "POST", "/pair", headers, body=body).header("set-cookie")
    assert cookie.startswith("stablenew-lan-8443=")
    assert "Secure" not in cookie


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (WRITING | {"Host": "127.0.0.1:8443"}, 421), (WRITING | {"Origin": "http://192.168.1.2:8443"}, 403),
        (WRITING | {"Sec_Fetch_Site": "cross-site"}, 403), (WRITING | {"Content_Type": "text/plain"}, 415),
    ],
)  # fmt: skip
def test_what_holds_at_the_computer_holds_here_too(door, headers, status):
    body = json.dumps({"code": door.book.invite(), "name": "phone"}).encode()
    assert ask(door.guard, "POST", "/pair", headers, body=body).status == status
    assert door.book.devices() == ()


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("look", "GET", "/api/images/rows", 200), ("look", "POST", "/api/feedback", 403),
        ("look", "GET", "/duel", 403), ("rate", "POST", "/api/feedback", 200), ("rate", "GET", "/duel", 200),
        ("rate", "POST", "/api/trash/empty", 403), ("rate", "GET", "/health", 403), ("rate", "PUT", "/", 403),
    ],
)  # fmt: skip
def test_a_device_may_do_what_its_role_may(door, role, method, path, status):
    cookie = door.enter(role=role)
    answer = door.ask(method, path, (HOST if method == "GET" else WRITING) | cookie)
    assert answer.status == status
    if status == 403:
        assert answer.error == "this device may not do that; it can be done at the computer itself"
        assert door.let_in == []


def test_where_nothing_may_be_changed_a_device_changes_nothing(tmp_path):
    door = Door(tmp_path, is_read_only=True)
    cookie = door.enter()
    refused = door.ask("POST", "/api/feedback", WRITING | cookie)
    assert (refused.status, "--read-only" in refused.error) == (403, True)
    assert door.ask("GET", "/api/status", HOST | cookie).status == 200


def test_a_device_that_was_revoked_is_a_stranger(door):
    cookie = door.enter()
    door.book.revoke("phone")
    assert door.ask("GET", "/api/status", HOST | cookie).status == 401


def test_what_arrives_after_a_device_was_revoked_is_not_taken(door):
    cookie = door.enter()
    answer = Answer()

    async def receive():
        door.book.revoke("phone")
        return {"type": "http.request", "body": b"{}"}

    run_coroutine(door.guard(scope_of("POST", "/api/feedback", WRITING | cookie), receive, answer.take))
    assert door.body == {"type": "http.disconnect"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"code": "x"}',
        b"\xff",
        b"[" * 4_000,
        b'{"code": "' + b"x" * 5_000 + b'"}',
        [b"{", b""],
    ],
    ids=range(9),
)
def test_what_is_no_code_and_name_is_refused(door, body):
    answer = door.ask("POST", "/pair", body=body)
    assert (answer.status, answer.error) == (422, "expected a code and a name")


def test_a_code_may_arrive_in_parts(door):
    whole = json.dumps({"code": door.book.invite(), "name": "phone"}).encode()
    assert door.ask("POST", "/pair", body=[whole[:5], b"", whole[5:]]).status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_the_page_for_codes_has_no_other_methods(door, method):
    assert door.ask(method, "/pair", WRITING).status == 405
    assert door.ask("POST", "/pair.js").status == 405


def test_after_five_wrong_codes_an_address_waits_also_with_the_right_one(door):
    code = door.book.invite()
    refused = [door.pair(code="AAAA-AAAA") for _ in range(5)]
    assert {answer.status for answer in refused} == {403}
    assert "ask for a new one" in refused[0].error
    waiting = door.pair(code=code)
    assert (waiting.status, waiting.error) == (429, "too many wrong codes; wait a minute")
    assert door.pair(address="192.168.1.10", code=code).status == 200


def test_strangers_are_answered_so_often_and_devices_all_the_same(door):
    cookie = door.enter()
    statuses = [door.ask("GET", "/api/status").status for _ in range(121)]
    assert statuses.count(401) == 119
    assert statuses[-1] == 429
    assert door.ask("GET", "/pair").status == 429
    assert door.ask("GET", "/api/status", client=("192.168.1.10", 1)).status == 401
    assert door.ask("GET", "/api/status", HOST | cookie).status == 200


def test_a_device_writes_so_often_in_a_minute(door):
    cookie = door.enter()
    statuses = [door.ask("POST", "/api/undo", WRITING | cookie).status for _ in range(601)]
    assert (statuses.count(200), statuses[-1]) == (600, 429)
    assert door.ask("GET", "/api/status", HOST | cookie).status == 200


def test_a_stream_of_events_ends_when_its_device_is_revoked(door):
    cookie, answer = door.enter(), Answer()

    async def endless(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        door.book.revoke("phone")
        await asyncio.Event().wait()

    guard = LanGuard(endless, origin=ORIGIN, book=door.book, files=FILES, taken=set)
    run_coroutine(guard(scope_of("GET", "/api/live", HOST | cookie), None, answer.take))
    assert (answer.status, answer.is_over) == (200, True)


def test_what_fails_in_a_stream_is_not_kept_quiet(door):
    cookie = door.enter()

    async def failing(_scope, _receive, _send):
        raise OSError("the disk is gone")

    guard = LanGuard(failing, origin=ORIGIN, book=door.book, files=FILES, taken=set)
    with pytest.raises(OSError, match="the disk is gone"):
        run_coroutine(guard(scope_of("GET", "/api/live", HOST | cookie), None, Answer().take))


def test_a_device_has_so_many_streams_at_once_and_one_more_when_one_has_ended(door):
    cookie = door.enter()

    async def ask_all():
        over = asyncio.Event()

        async def until_over(_scope, _receive, send):
            await over.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        guard = LanGuard(until_over, origin=ORIGIN, book=door.book, files=FILES, taken=set)
        answers = [Answer() for _ in range(10)]
        streams = [
            asyncio.ensure_future(guard(scope_of("GET", "/api/live", HOST | cookie), None, answer.take))
            for answer in answers[:9]
        ]
        await streams[8]
        over.set()
        await asyncio.gather(*streams)
        await guard(scope_of("GET", "/api/live", HOST | cookie), None, answers[9].take)
        return [answer.status for answer in answers]

    assert run_coroutine(ask_all()) == [200] * 8 + [429, 200]


def test_what_is_no_request_is_not_answered(door):
    run_coroutine(door.guard({"type": "websocket"}, None, None))
    assert door.let_in == []


@pytest.mark.parametrize("key", [key for key, role in ROLES.items() if role < Role.OWNER])
def test_an_address_needs_the_role_of_its_rule_with_values_in_its_place(key):
    method, _, path = key.partition(" ")
    filled = (
        path.replace("{run_id}", "r").replace("{digest}", "d").replace("{size}", "320").replace("{path:path}", "a/b")
    )
    assert find_role(method, filled) is ROLES[key]
    assert method == "POST" or find_role("HEAD", filled) is ROLES[key]
    assert find_role("DELETE", filled) is Role.OWNER
    assert find_role(method, filled + "/more") is (Role.LOOK if "path:path" in key else Role.OWNER)
