"""Talking HTTP to an engine's program, against a real server that answers as badly as it can."""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stablenew.engines import engine_http
from stablenew.engines.engine_http import EngineHttpClient, is_out_of_memory, split_auth, whole_text
from stablenew.errors import ConfigError, EngineError


class PictureClient(EngineHttpClient):
    program = "picture program"
    default_url = "http://127.0.0.1:9"
    start_hint = "start the picture program"
    memory_hint = "ask for less"


class Answers(ThreadingHTTPServer):
    """A server with a list of answers: status, headers and body. The last one is given for ever."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = []
        self.requests = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def give(self, *answers):
        self.answers = list(answers)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append((self.command, self.path, json.loads(body) if body else None, self.headers))
        status, headers, content = self.server.answers[0]
        del self.server.answers[: len(self.server.answers) > 1]
        if status is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        for name, value in ({"content-type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815  # the names that http.server looks for

    def log_message(self, *_):
        pass


def answer(value=None, status=200, **headers):
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return status, {name.replace("_", "-"): text for name, text in headers.items()}, content


BROKEN = (None, {}, b"")


@pytest.fixture
def program():
    server = Answers()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    waited = []
    monkeypatch.setattr(engine_http.time, "sleep", waited.append)
    return waited


@pytest.fixture
def client(program):
    with contextlib.closing(PictureClient(program.url)) as client:
        yield client


def test_a_question_is_answered_with_what_the_json_says(client, program):
    program.give(answer({"models": ["a"]}))
    assert client.ask("/models") == {"models": ["a"]}
    assert client.ask("/search", {"word": "a"}) == {"models": ["a"]}
    assert [request[:3] for request in program.requests] == [
        ("GET", "/models", None),
        ("POST", "/search", {"word": "a"}),
    ]


@pytest.mark.parametrize("failure", [BROKEN, answer("busy", 429), answer("later", 502), answer(1, 503), answer(1, 504)])
def test_a_question_is_asked_three_times_and_no_more(client, program, pauses, failure):
    program.give(failure, failure, answer([1]))
    assert client.ask("/models") == [1]
    assert pauses == sorted(pauses)
    assert len(pauses) == 2
    program.give(failure)
    with pytest.raises(EngineError):
        client.ask("/models")
    assert len(program.requests) == 6


def test_an_error_that_will_not_pass_is_not_asked_about_again(client, program):
    program.give(answer("no such model", 500))
    with pytest.raises(EngineError, match=r"/models answered 500: \"no such model\""):
        client.ask("/models")
    assert len(program.requests) == 1


def test_a_page_for_browsers_is_not_read_out_as_a_reason(client, program):
    program.give(answer(b"<html>nginx</html>", 500, content_type="text/html"))
    with pytest.raises(EngineError, match="answered 500: without a reason"):
        client.ask("/models")


def test_what_a_server_does_not_know_is_found_to_be_nothing(client, program):
    program.give(answer({"detail": "Not Found"}, 404))
    assert client.find("/new-in-2027") is None
    program.give(answer(b"<html>", content_type="text/html"))
    assert client.find("/new-in-2027") is None
    program.give(answer(7))
    assert client.find("/number") == 7


def test_the_wrong_program_at_an_address_is_named(client, program):
    program.give(answer(b"<html>", content_type="text/html"))
    with pytest.raises(
        EngineError, match="answered with text/html instead of JSON; is this the address of a picture pr"
    ):
        client.ask("/models")


def test_bytes_are_fetched_as_they_are_and_errors_are_no_bytes(client, program):
    program.give(answer(b"\0\xff", content_type="image/png"))
    assert client.fetch("/file") == b"\0\xff"
    program.give(answer("gone", 404))
    with pytest.raises(EngineError, match="answered 404"):
        client.fetch("/file")


@pytest.mark.parametrize("failure", [BROKEN, answer("crash", 500), answer("gateway", 502), answer("busy", 503)])
def test_work_is_never_asked_for_twice(client, program, failure):
    program.give(failure, answer({"images": []}))
    with pytest.raises(EngineError):
        client.work("/draw", {"prompt": "a"})
    assert len(program.requests) == 1


def test_work_waits_where_the_server_took_none_of_it(client, program, pauses):
    full = answer("queue is full", 429)
    program.give(full, full, answer("queue is full", 429, retry_after="7"), answer({"images": [1]}))
    assert client.work("/draw", {}) == {"images": [1]}
    assert pauses == [1.0, 2.0, 7.0]


def test_work_gives_up_after_a_minute_of_waiting(client, program, pauses):
    program.give(answer("queue is full", 429))
    with pytest.raises(EngineError, match="answered 429"):
        client.work("/draw", {})
    assert 60 <= sum(pauses) < 130
    assert max(pauses) <= 60


@pytest.mark.parametrize(("asked", "waited"), [("-5", 0), ("100000", 60), ("soon", 1), ("0.5", 0.5)])
def test_a_server_cannot_ask_for_an_unreasonable_pause(client, program, pauses, asked, waited):
    program.give(answer("full", 429, retry_after=asked), answer(1))
    assert client.work("/draw", {}) == 1
    assert pauses == [waited]


def test_a_server_out_of_memory_gets_the_advice_of_its_program(client, program):
    program.give(answer({"error": "torch.OutOfMemoryError: CUDA out of memory"}, 500))
    with pytest.raises(EngineError, match="the server ran out of memory; ask for less"):
        client.work("/draw", {})
    assert is_out_of_memory("CUDA out of memory. Tried to allocate")
    assert not is_out_of_memory("memory is fine")


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_wants_a_password_says_where_to_give_it(program, status):
    program.give(answer("Unauthorized", status))
    with (
        contextlib.closing(PictureClient(program.url)) as client,
        pytest.raises(EngineError, match="NAME:PASSWORD@HOST"),
    ):
        client.ask("/")
    address = program.url.replace("//", "//kim:s%40crab@")
    with contextlib.closing(PictureClient(address)) as client, pytest.raises(EngineError) as refused:
        client.ask("/")
    assert "refuses the name 'kim'" in str(refused.value)
    assert "s@crab" not in str(refused.value)
    assert program.requests[-1][3]["authorization"] == "Basic a2ltOnNAY3JhYg=="


def test_an_address_that_nobody_answers_at_says_how_to_start_the_program(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: the port refuses, and nobody else gets it
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with contextlib.closing(PictureClient(url)) as client:
            for ask in (client.ask, lambda path: client.work(path, {})):
                with pytest.raises(EngineError, match="nobody answers at .*; start the picture program"):
                    ask("/")


def test_a_connection_that_breaks_off_points_at_the_window(client, program):
    program.give(BROKEN)
    with pytest.raises(EngineError, match="broke off the connection .* look at its window"):
        client.work("/draw", {})


@pytest.mark.parametrize(
    ("url", "address", "auth"),
    [
        ("127.0.0.1:7860", "http://127.0.0.1:7860", None),
        ("http://host/sub/", "http://host/sub", None),
        ("https://kim:a%3Ab@host:7860/?x=1#y", "https://host:7860", ("kim", "a:b")),
        ("kim@host", "http://host", ("kim", "")),
        ("http://[::1]:7860", "http://[::1]:7860", None),
    ],
)
def test_name_and_password_are_taken_out_of_an_address(url, address, auth):
    assert split_auth(url) == (address, auth)


NO_ADDRESSES = (
    "ftp://host",
    "http://",
    "file:///etc/passwd",
    "//",
    "http://[::1",
    "http://h:99999",
    "h:x",
    "h:0",
    "\udcff",
)


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="expected an address such as"):
        split_auth(url)


def test_half_a_surrogate_pair_never_reaches_the_wire():
    assert whole_text("a\ud83cb") == "a?b"
    assert whole_text("\N{ROCKET}") == "\N{ROCKET}"
