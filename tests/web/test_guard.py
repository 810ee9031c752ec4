"""Who may talk to the server, and what a path may reach: probes with raw HTTP against a real one."""

import asyncio
import contextlib
import json
import signal
import socket
import time

import pytest

from stablenew.web import http_protocol
from stablenew.web.http_protocol import PatientProtocol
from tests.coroutines import run_coroutine
from tests.web.serving import Client, Server, events_of

JSON = {"Content_Type": "application/json"}
SAYING = {"act": "0123456789ab", "image_id": None, "rating": 5}


def status(answer):
    return answer[0]


def test_a_link_is_good_once_and_its_cookie_is_out_of_reach_of_scripts(server):
    client = Client(server)
    code, headers, _ = client.ask("GET", f"/?token={server.token}")
    assert (code, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert cookie.startswith(f"stablenew-{server.port}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    code, _, body = client.ask("GET", f"/?token={server.token}")
    assert code == 401
    assert b"used before" in body


@pytest.mark.only_reads
@pytest.mark.parametrize("path", ["/", "/api/status", "/static/js/app.js", "/jobs", "/api/live", "/nothing"])
def test_nothing_without_the_cookie(server, path):
    assert status(Client(server).ask("GET", path)) == 401
    client = Client(server)
    client.cookie = f"stablenew-{server.port}=0000"
    assert status(client.ask("GET", path)) == 401


@pytest.mark.only_reads
@pytest.mark.parametrize("token", ["", "x", "0" * 48, "ä" * 8])
def test_a_made_up_token_opens_nothing(server, token):
    from urllib.parse import quote

    assert status(Client(server).ask("GET", f"/?token={quote(token)}")) == 401


@pytest.mark.only_reads
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""])
def test_a_foreign_host_is_misdirected(server, client, host):
    assert status(client.ask("GET", "/api/status", Host=host)) == 421
    assert status(Client(server).ask("GET", f"/?token={server.token}", Host=host)) == 421


@pytest.mark.only_reads
def test_localhost_is_a_name_of_ours(server, client):
    assert status(client.ask("GET", "/api/status", Host=f"localhost:{server.port}")) == 200


@pytest.mark.only_reads
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_requests_of_other_sites_are_refused(client, run_ids, site):
    assert status(client.ask("GET", "/api/status", Sec_Fetch_Site=site)) == 403
    embedded = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
    assert status(client.ask("GET", "/", **embedded)) == 403
    followed = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert status(client.ask("GET", "/", **followed)) == 200


def test_writing_needs_our_origin_json_and_a_length(server, client, root, run_ids):
    body = json.dumps({"says": [{**SAYING, "run_id": run_ids[0]}]})
    origin = {"Origin": server.origin}
    assert status(client.ask("POST", "/api/feedback", body, **JSON)) == 403
    assert status(client.ask("POST", "/api/feedback", body, Origin="https://evil.example", **JSON)) == 403
    assert status(client.ask("POST", "/api/feedback", body, Origin="null", **JSON)) == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert status(client.ask("POST", "/api/feedback", body, **origin, Content_Type=kind)) == 415
    assert status(client.ask("POST", "/api/feedback", body * 100_000, **origin, **JSON)) == 413
    chunks = (part for part in [body.encode()])
    assert status(client.ask("POST", "/api/feedback", chunks, **origin, **JSON)) == 411
    assert not (root / run_ids[0] / "feedback.json").exists()
    assert status(client.ask("POST", "/api/feedback", body, **origin, **JSON)) == 200
    assert len(events_of(root, run_ids[0])) == 1


@pytest.mark.only_reads
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(server, client, method):
    assert status(client.ask(method, "/api/status")) in {403, 405, 501}
    assert status(client.ask(method, "/api/status", "", Origin=server.origin, **JSON)) == 405


@pytest.mark.only_reads
def test_every_answer_says_what_the_page_may_do(client, run_ids):
    for path in ("/", "/api/status", "/static/js/app.js", "/nothing", f"/runs/{run_ids[0]}"):
        _, headers, _ = client.ask("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


@pytest.mark.only_reads
@pytest.mark.parametrize(
    "path",
    [
        "/static/../../errors.py",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/static//etc/passwd",
        "/static/js/..%5capp.js",
        "/outputs/../../../../etc/passwd",
        "/outputs/%2e%2e/%2e%2e",
        "/outputs/{run}/..%2frun_metadata.json",
        "/outputs/{run}/run_metadata.json",
        "/outputs/{run}/00000000000000000000000000000000",
        "/outputs/.stablenew/00000000000000000000000000000000",
        "/thumbnails/..%2f..%2fetc/00000000000000000000000000000000/320",
        "/thumbnails/{run}/passwd/320",
        "/thumbnails/{run}/00000000000000000000000000000000/321",
        "/thumbnails/{run}/00000000000000000000000000000000/-1",
        "/previews/{run}/0",
        "/previews/../{run}/0",
        "/api/runs/.stablenew",
        "/api/runs/..",
        "/api/runs/%2e%2e%2f{run}",
        "/runs/{run}/run_metadata.json",
    ],
)
def test_no_path_leads_out(client, run_ids, path):
    assert status(client.ask("GET", path.replace("{run}", run_ids[0]))) == 404


def test_read_only_lets_nothing_be_changed(root, tmp_path, run_ids):
    server = Server(root, tmp_path / "machine", "--port", "0", "--read-only").start()
    client = Client(server).enter()
    assert client.get("/api/status")["is_read_only"] is True
    assert client.get(f"/api/runs/{run_ids[0]}")["run_id"] == run_ids[0]
    before = sorted(path.name for path in (root / run_ids[0]).iterdir())
    for path, body in [
        ("/api/feedback", {"says": [{**SAYING, "run_id": run_ids[0]}]}),
        ("/api/settings", {"learning_enabled": True}),
        ("/api/running", {"prompt": "x"}),
        ("/api/repair", {"run_ids": run_ids}),
        ("/api/views", {"name": "x", "query": "y"}),
    ]:
        assert "--read-only" in client.post(path, body, expected=403)["error"]
    assert sorted(path.name for path in (root / run_ids[0]).iterdir()) == before
    assert not (tmp_path / "machine" / "config" / "config.json").exists()
    server.stop()


@pytest.mark.only_reads
def test_the_secret_is_for_this_user_only(server):
    (note,) = (server.machine / "state" / "servers").glob("*.json")
    assert note.stat().st_mode & 0o077 == 0
    assert server.token not in note.read_text()


@pytest.mark.only_reads
def test_a_second_serve_says_where_the_first_one_is(server, root):
    said = json.loads(server.run("serve", "--no-browser", "--json"))
    assert (said["state"], said["store"]) == ("already served", str(root))
    assert said["url"].startswith(server.origin)
    assert status(Client(server).ask("GET", said["url"].removeprefix(server.origin))) == 303


def test_ctrl_c_ends_it_and_a_new_one_keeps_port_and_cookies(server, client):
    code, said = server.stop()
    assert code == 0
    assert "Traceback" not in said
    server.restart()
    assert client.get("/api/status")["run_count"] == 4


@pytest.mark.parametrize("seconds", [0, 0.1, 0.2, 0.4])
def test_ctrl_c_while_it_starts_ends_it_too(root, tmp_path, seconds):
    """Also where a script started it in the background, with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        server = Server(root, tmp_path / "machine").start()
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(seconds)
    code, said = server.stop()
    assert code == 0
    assert "Traceback" not in said


@pytest.mark.only_reads
def test_a_port_that_is_taken_is_said(server, root, tmp_path):
    other = Server(tmp_path / "other", tmp_path / "machine", "--port", str(server.port))
    process = other.launch()
    with process.stdout:
        said = process.stdout.read()
    assert process.wait(30) == 2
    assert f"port {server.port} is taken" in said


COOKIES_OF_OTHERS = [
    'prefs={"a":1,"b":"c"}',
    "flag",
    "a b=1",
    "=x",
    'x="un',
    "a[b]=1",
    "näme=välue",
    "path=/; expires=never",
    "a=1;;;",
    "stablenew=1",
    "x=" + "y" * 3000,
]


@pytest.mark.parametrize("other", COOKIES_OF_OTHERS, ids=lambda other: other[:12])
@pytest.mark.parametrize("order", ["{other}; {ours}", "{ours}; {other}", "{other};{ours};{other}"])
def test_cookies_of_other_programs_on_this_host_do_no_harm(client, other, order):
    cookie = order.format(other=other, ours=client.cookie).encode("utf-8").decode("latin-1")
    assert status(client.ask("GET", "/api/status", Cookie=cookie)) == 200
    made_up = order.format(other=other, ours=f"{client.cookie[:-1]}!").encode("utf-8").decode("latin-1")
    assert status(client.ask("GET", "/api/status", Cookie=made_up)) == 401


def send_raw(server, data):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(data)
        return connection.makefile("rb").readline()


def request_head(server, client, *headers):
    lines = [
        "POST /api/feedback HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Cookie: {client.cookie}",
        f"Origin: {server.origin}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "1e9", "99999999"])
def test_a_length_that_is_none_or_too_large_is_refused_before_the_body(server, client, length):
    answer = send_raw(server, request_head(server, client, f"Content-Length: {length}"))
    assert answer.split()[1] in {b"400", b"411", b"413"}


def test_a_body_is_counted_as_it_arrives_whatever_length_was_announced(server, client):
    head = request_head(server, client, "Content-Length: 10", "Transfer-Encoding: chunked")
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head)
        with contextlib.suppress(OSError):  # it may close before all is sent
            for _ in range(6):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] in {b"400", b"413"}
    assert client.get("/api/status")


def test_a_connection_without_a_whole_request_is_closed_while_others_are_answered():
    async def half_open():
        import uvicorn

        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        config = uvicorn.Config(app, http=PatientProtocol, port=0, lifespan="off", log_level="warning")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  # it has no event for that
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in b"GET / HTTP/1.1\r\nHo":
            writer.write(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                assert await asyncio.wait_for(reader.read(1), 0.05) == b""
                break
        assert await asyncio.wait_for(reader.read(), 20) == b""
        whole, asking = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):  # a connection that is used stays
            asking.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await whole.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        asking.close()
        writer.close()
        server.should_exit = True
        await task

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_protocol, "HEADER_SECONDS", 0.3)
        run_coroutine(half_open())
