"""Who may talk to the server, and what a path may reach: probes with raw HTTP against a real one."""

import json

import pytest

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


@pytest.mark.parametrize("path", ["/", "/api/status", "/static/js/app.js", "/review", "/api/live", "/nothing"])
def test_nothing_without_the_cookie(server, path):
    assert status(Client(server).ask("GET", path)) == 401
    client = Client(server)
    client.cookie = f"stablenew-{server.port}=0000"
    assert status(client.ask("GET", path)) == 401


@pytest.mark.parametrize("token", ["", "x", "0" * 48, "ä" * 8])
def test_a_made_up_token_opens_nothing(server, token):
    from urllib.parse import quote

    assert status(Client(server).ask("GET", f"/?token={quote(token)}")) == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""])
def test_a_foreign_host_is_misdirected(server, client, host):
    assert status(client.ask("GET", "/api/status", Host=host)) == 421
    assert status(Client(server).ask("GET", f"/?token={server.token}", Host=host)) == 421


def test_localhost_is_a_name_of_ours(server, client):
    assert status(client.ask("GET", "/api/status", Host=f"localhost:{server.port}")) == 200


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


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_do_nothing(server, client, method):
    assert status(client.ask(method, "/api/status")) in {403, 405, 501}
    assert status(client.ask(method, "/api/status", "", Origin=server.origin, **JSON)) == 405


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


def test_the_secret_is_for_this_user_only(server):
    (note,) = (server.machine / "state" / "servers").glob("*.json")
    assert note.stat().st_mode & 0o077 == 0
    assert server.token not in note.read_text()


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


def test_a_port_that_is_taken_is_said(server, root, tmp_path):
    other = Server(tmp_path / "other", tmp_path / "machine", "--port", str(server.port))
    process = other.launch()
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"port {server.port} is taken" in said
