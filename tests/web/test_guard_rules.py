"""What the guard lets through, decided on headers alone; `test_guard` attacks a real server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.web.guard import (
    COOKIE_SECONDS,
    HEADERS,
    MAX_BODY_BYTES,
    Guard,
    Keys,
    find_cookies,
    find_refusal,
    read_headers,
)
from tests.coroutines import run_coroutine
from tests.web.asgi import ask, scope_of

PORT = 8765
HOST = f"127.0.0.1:{PORT}"
ORIGIN = f"http://{HOST}"
HOSTS, ORIGINS = frozenset({HOST}), frozenset({ORIGIN})
WRITING = {"Host": HOST, "Origin": ORIGIN, "Content_Type": "application/json", "Content_Length": "2"}


@pytest.fixture
def keys():
    return Keys(b"a secret", "instance")


@pytest.fixture
def guarded(keys):
    """A guard before an application that says what reached it, and the headers of whoever is let in."""
    reached = []

    async def app(scope, receive, send):
        reached.append((scope["method"], scope["path"]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"referrer-policy", b"own")]})
        await send({"type": "http.response.body", "body": b"inside"})

    guard = Guard(app, port=PORT, keys=keys)
    guard.reached = reached
    return guard


def entering(keys, **more):
    return {"Host": HOST, "Cookie": f"stablenew-{PORT}={keys.cookie}"} | more


def refusal(method="POST", path="/api/feedback", **headers):
    scope = scope_of(method, path, {name: value for name, value in headers.items() if value is not None})
    return find_refusal(scope, read_headers(scope), HOSTS, ORIGINS)


def test_what_the_page_itself_sends_is_not_refused():
    assert refusal(**WRITING) is None
    assert refusal("GET", Host=HOST) is None
    assert refusal("HEAD", Host=HOST, Sec_Fetch_Site="same-origin") is None


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"Host": "evil.example"}, 421, f"this server answers to {HOST} only"),
        ({"Host": None}, 421, "answers to"),
        ({"Host": HOST.upper() + ":1"}, 421, "answers to"),
        ({"Sec_Fetch_Site": "cross-site"}, 403, "other sites"),
        ({"Sec_Fetch_Site": "same-site"}, 403, "other sites"),
        ({"Origin": None}, 403, "header Origin"),
        ({"Origin": "null"}, 403, "header Origin"),
        ({"Origin": ORIGIN + "/"}, 403, "header Origin"),
        ({"Content_Type": None}, 415, "expected application/json"),
        ({"Content_Type": "text/plain; application/json"}, 415, "expected application/json"),
        ({"Content_Length": None}, 411, "Content-Length"),
        ({"Content_Length": "-1"}, 411, "Content-Length"),
        ({"Content_Length": "²"}, 411, "Content-Length"),
        ({"Content_Length": "1, 1"}, 411, "Content-Length"),
        ({"Content_Length": str(MAX_BODY_BYTES + 1)}, 413, "at most 4,194,304 bytes"),
        ({"Content_Length": "9" * 5_000}, 413, "at most"),
    ],
)
def test_writing_is_refused_with_what_was_expected(change, status, words):
    found, reason = refusal(**WRITING | change)
    assert found == status
    assert words in reason


@pytest.mark.parametrize(
    "change",
    [
        {"Content_Type": "Application/JSON ; charset=utf-8"},
        {"Content_Length": str(MAX_BODY_BYTES)},
        {"Content_Length": "0"},
        {"Sec_Fetch_Site": "none"},
    ],
)
def test_what_browsers_write_otherwise_is_let_through(change):
    assert refusal(**WRITING | change) is None


@pytest.mark.parametrize(
    ("method", "mode", "dest", "is_let_in"),
    [
        ("GET", "navigate", "document", True), ("POST", "navigate", "document", False),
        ("GET", "navigate", "iframe", False), ("GET", "cors", "document", False), ("GET", None, None, False),
    ],
)  # fmt: skip
def test_of_another_site_only_a_link_that_somebody_followed_is_let_in(method, mode, dest, is_let_in):
    others = {"Host": HOST, "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
    assert (refusal(method, "/", **others) is None) == is_let_in


def test_who_has_the_cookie_gets_in_and_who_has_not_is_told_how(guarded, keys):
    inside = ask(guarded, "GET", "/api/status", entering(keys))
    assert (inside.status, inside.body) == (200, b"inside")
    outside = ask(guarded, "GET", "/api/status", {"Host": HOST})
    assert outside.status == 401
    assert b"stablenew serve" in outside.body
    assert guarded.reached == [("GET", "/api/status")]


@pytest.mark.parametrize(
    "cookie",
    [
        "", "stablenew-1={good}", "stablenew-8765=", "stablenew-8765={good}0", "stablenew-8765=é",
        "Stablenew-8765={good}", "{good}",
    ],
)  # fmt: skip
def test_another_cookie_opens_nothing(guarded, keys, cookie):
    headers = {"Host": HOST, "Cookie": cookie.format(good=keys.cookie)}
    assert ask(guarded, "GET", "/", headers).status == 401
    assert guarded.reached == []


def test_cookies_of_other_programs_and_quotes_do_no_harm(guarded, keys):
    cookies = [("cookie", "a=b; c"), ("cookie", f'stablenew-{PORT}=old; stablenew-{PORT}="{keys.cookie}"')]
    assert ask(guarded, "GET", "/", [("host", HOST), *cookies]).status == 200


def test_a_link_gives_the_cookie_once(guarded, keys):
    token = keys.build_token()
    answer = ask(guarded, "GET", "/", {"Host": HOST}, query=f"token={token}".encode())
    assert (answer.status, answer.header("location"), answer.body) == (303, "/", b"")
    cookie = answer.header("set-cookie")
    assert cookie.startswith(f"stablenew-{PORT}={keys.cookie}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly")
    assert "SameSite=Strict" in cookie
    again = ask(guarded, "GET", "/", {"Host": HOST}, query=f"token={token}".encode())
    assert (again.status, again.header("set-cookie")) == (401, None)
    assert b"used before" in again.body
    assert ask(guarded, "GET", "/", entering(keys), query=f"token={token}".encode()).status == 303


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/"), ("GET", "/jobs"), ("POST", "/")])
def test_a_token_is_looked_at_where_links_lead_and_nowhere_else(guarded, keys, method, path):
    query = f"token={keys.build_token()}".encode()
    assert ask(guarded, method, path, WRITING, query=query).status == 401
    assert ask(guarded, "GET", "/", {"Host": HOST}, query=query).status == 303


def test_what_is_read_only_is_looked_at_and_not_changed(keys):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    guard = Guard(app, port=PORT, keys=keys, is_read_only=True)
    refused = ask(guard, "POST", "/api/feedback", WRITING | entering(keys))
    assert refused.status == 403
    assert "--read-only" in refused.error
    assert ask(guard, "GET", "/", entering(keys)).status == ask(guard, "HEAD", "/", entering(keys)).status == 200
    assert ask(guard, "POST", "/api/feedback", WRITING).status == 401, "a stranger is not told how it was started"


@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {"Host": HOST}), ("GET", {"Host": "evil"}), ("POST", WRITING | {"Origin": "x"})]
)
def test_every_refusal_has_the_headers_and_is_not_cached(guarded, method, headers):
    answer = ask(guarded, method, "/", headers)
    assert dict(HEADERS).items() <= dict(answer.headers).items()
    assert answer.header("cache-control") == "no-store"
    assert int(answer.header("content-length")) == len(answer.body)


def test_an_answer_keeps_a_header_of_its_own(guarded, keys):
    answer = ask(guarded, "GET", "/", entering(keys))
    assert answer.header("referrer-policy") == "own"
    assert "default-src 'none'" in answer.header("content-security-policy")


def test_what_is_no_request_passes(keys):
    passed = []

    async def app(scope, _receive, send):
        passed.append((scope["type"], send))

    run_coroutine(Guard(app, port=PORT, keys=keys)({"type": "lifespan"}, None, len))
    assert passed == [("lifespan", len)]


# Keys


def test_a_token_is_good_for_its_server_and_secret_alone(keys):
    token = keys.build_token()
    assert not Keys(b"another", "instance").use_token(token)
    assert not Keys(b"a secret", "another").use_token(token)
    assert keys.use_token(token)
    assert not keys.use_token(token)
    assert Keys(b"a secret", "instance").use_token(token), "only the server that took it knows that it was used"


@given(st.text(max_size=60))
def test_no_text_that_was_made_up_is_a_token(text):
    assert not Keys(b"a secret", "instance").use_token(text)


def test_a_cookie_is_good_for_every_server_of_the_secret():
    assert Keys(b"s", "first").cookie == Keys(b"s", "second").cookie != Keys(b"t", "first").cookie
    assert Keys(b"s", "a").build_token() != Keys(b"s", "a").build_token()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("n=1", ["1"]),
        ("x; n=1 ;n = 2;N=3;nn=4", ["1", "2"]),
        ('n="a"', ["a"]),
        ("n=a=b", ["a=b"]),
        ("n", [""]),
        ("n=", [""]),
    ],
)
def test_cookies_are_read_as_browsers_write_them(header, expected):
    assert find_cookies(header, "n") == expected


def test_headers_of_one_name_are_joined_as_one_of_them_would_be():
    scope = scope_of("GET", "/", [("cookie", "a=1"), ("accept", "x"), ("cookie", "b=2"), ("accept", "y"), ("odd", "ÿ")])
    assert read_headers(scope) == {"cookie": "a=1; b=2", "accept": "x, y", "odd": "ÿ"}
