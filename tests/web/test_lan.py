"""The way in from the network: attacked with real HTTPS against a real server."""

import json
import re
import socket
import ssl
import threading
import time

import pytest
from starlette.routing import Route

from stablenew.web.lan.device_book import CODE_SECONDS, MOST_WRONG_TRIES, DeviceBook, PairingRefused
from stablenew.web.lan.lan_guard import find_role
from stablenew.web.lan.rate_limit import RateLimit
from stablenew.web.lan.roles import ROLES, Role
from stablenew.web.page.static_files import SCREENS
from stablenew.web.web_app import ENDPOINTS
from tests.lanes import require
from tests.web.lan_serving import Device, LanServer
from tests.web.serving import Client, events_of, wait_for

ACT = "0123456789ab"
OPEN_TO_ALL = {"/pair", "/pair.js", "/pair.css"}


@pytest.fixture(autouse=True)
def _packages():
    require("cryptography", "segno", extra="lan")


@pytest.fixture
def server(root, tmp_path):
    started = LanServer(root, tmp_path / "machine").start()
    owner = Client(started).enter()
    wait_for(lambda: owner.get("/api/status")["is_indexed"])
    started.owner = owner
    yield started
    started.close()


@pytest.fixture
def rating(server):
    return Device(server).pair("anna", code=server.code)


def addresses():
    """Every address there is, with real values in the places of its parameters."""
    endpoints = {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    pages = {("GET", path) for path in (*SCREENS, "/static/{path:path}", "/api/openapi.json")}
    return sorted(endpoints | pages)


def fill(path, run_id, digest):
    values = {"run_id": run_id, "digest": digest[7:], "size": "320", "number": "0", "path:path": "js/app.js"}
    return re.sub(r"{([^}]+)}", lambda name: values[name[1]], path)


def first_image(server):
    (row,) = [row for row in server.owner.get("/api/images/rows?ids=1")["images"] if row]
    return row


def rate(device, row, rating, act=ACT, expected=200):
    says = [{"run_id": row["run_id"], "image_id": row["digest"], "rating": rating, "act": act}]
    return device.post("/api/feedback", {"says": says}, expected=expected)


# What has a role


def test_every_address_states_its_role():
    assert {f"{method} {path}" for method, path in addresses()} == set(ROLES)


def test_the_routes_of_the_application_are_these_addresses(tmp_path):
    from stablenew.controller.app_controller import AppController
    from stablenew.web.context import WebContext
    from stablenew.web.guard import Keys
    from stablenew.web.web_app import build_web_app

    context = WebContext(AppController(runs_dir=tmp_path), instance="x")
    routes = build_web_app(context, port=1, keys=Keys(b"x", "x"))._app.routes
    assert all(isinstance(route, Route) for route in routes)
    served = {(method, route.path) for route in routes for method in route.methods - {"HEAD"}}
    assert served == set(addresses())


def test_what_no_rule_names_is_the_owners():
    assert find_role("GET", "/api/later") is Role.OWNER
    assert find_role("DELETE", "/api/status") is Role.OWNER
    assert find_role("POST", "/api/status") is Role.OWNER
    assert find_role("GET", "/api/status/") is Role.OWNER
    assert find_role("HEAD", "/api/status") is Role.LOOK


# Strangers


def test_a_stranger_gets_the_page_that_asks_for_a_code_and_nothing_else(server):
    row = first_image(server)
    stranger = Device(server)
    for method, path in addresses():
        address = fill(path, row["run_id"], row["digest"])
        status, headers, body = stranger.ask(method, address) if method == "GET" else stranger.post_raw(address, "{}")
        if (method, path) == ("GET", "/"):
            assert (status, headers["location"], body) == (303, "/pair", b"")
        else:
            assert status == 401, (method, address)
        assert len(body) < 200
        assert row["run_id"].encode() not in body
    for path in OPEN_TO_ALL:
        status, headers, body = stranger.ask("GET", path)
        assert status == 200
        assert "default-src 'none'" in headers["content-security-policy"]
        assert row["run_id"].encode() not in body


def test_a_made_up_cookie_opens_nothing(server):
    device = Device(server)
    for cookie in ("0" * 43, "", "é", "a; b", "null"):
        device.cookie = f"__Host-stablenew-{server.lan_port}={cookie}"
        assert device.ask("GET", "/api/status")[0] == 401


def test_the_owners_cookie_and_links_are_no_good_on_the_network_and_a_devices_are_none_here(server, rating):
    stranger = Device(server)
    value = server.owner.cookie.partition("=")[2]
    stranger.cookie = f"{server.owner.cookie}; __Host-stablenew-{server.lan_port}={value}"
    assert stranger.ask("GET", "/api/status")[0] == 401
    link = re.search(r"http://\S+", server.run("serve", "--no-browser"))[0]
    assert stranger.ask("GET", "/?token=" + link.partition("token=")[2])[0] == 303
    client = Client(server)
    client.cookie = f"{rating.cookie}; stablenew-{server.port}={rating.cookie.partition('=')[2]}"
    assert client.ask("GET", "/api/status")[0] == 401


def test_a_stranger_who_asks_and_asks_is_told_to_wait_and_a_device_is_answered(server, rating):
    # One address for both here: the limit counts only what is not paired.
    stranger = Device(server)
    answers = {stranger.ask("GET", "/api/status")[0] for _ in range(130)}
    assert answers == {401, 429}
    assert rating.get("/api/status")["rater"] == "anna"


# Codes


def test_a_code_is_good_once(server):
    Device(server).pair("anna", code=server.code)
    for _ in range(2):
        status, headers, body = Device(server).try_to_pair(server.code, "ben")
        assert status == 403
        assert b"used before" in body
        assert "set-cookie" not in headers


def test_of_many_who_use_a_code_at_once_one_is_paired(server):
    answers = []
    threads = [
        threading.Thread(target=lambda n=number: answers.append(Device(server).try_to_pair(server.code, f"d{n}")[0]))
        for number in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 403, 403, 403, 403]
    assert len(json.loads(server.run("devices", "list", "--json"))) == 1


def test_an_address_that_guesses_is_told_to_wait_even_with_the_right_code(server):
    for _ in range(5):
        assert Device(server).try_to_pair("AAAA-AAAA", "x")[0] == 403
    assert Device(server).try_to_pair(server.code, "x")[0] == 429


class Clock:
    time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "state"))
    return DeviceBook(tmp_path / "runs", now=Clock())


def no_raters():
    return set()


def test_a_code_lives_two_minutes(book):
    code = book.invite()
    book._now.time += CODE_SECONDS - 1
    assert book.pair(code.lower().replace("-", " "), "anna", "", no_raters)[0].name == "anna"
    code = book.invite()
    book._now.time += CODE_SECONDS
    with pytest.raises(PairingRefused, match="too old"):
        book.pair(code, "ben", "", no_raters)


def test_a_code_is_void_after_ten_wrong_tries_whoever_makes_them(book):
    code = book.invite()
    for _ in range(MOST_WRONG_TRIES):
        with pytest.raises(PairingRefused):
            book.pair("AAAA-AAAA", "x", "", no_raters)
    with pytest.raises(PairingRefused):
        book.pair(code, "x", "", no_raters)
    assert book.devices() == ()


def test_a_new_code_makes_the_old_one_void(book):
    old, new = book.invite(), book.invite()
    with pytest.raises(PairingRefused):
        book.pair(old, "anna", "", no_raters)
    assert book.pair(new, "anna", "", no_raters)


def test_nobody_takes_the_name_of_somebody_else(book):
    code = book.invite()
    for name in ("Owner", "owner", "\uff2fwner", " owner "):
        with pytest.raises(PairingRefused, match="rates under the name"):
            book.pair(code, name, "", lambda: {"owner"})
    book.pair(code, "anna", "", lambda: {"owner"})
    code = book.invite()
    with pytest.raises(PairingRefused, match="ANNA"):
        book.pair(code, "ANNA", "", no_raters)
    assert book.pair(book.invite(rater="owner"), "sofa", "", lambda: {"owner"})[0].rater == "owner"


@pytest.mark.parametrize("name", ["", "  ", "a" * 41, "a*", 'a"', "a\x00b", "a\u202eb"])
def test_a_name_that_will_not_do_leaves_the_code_good(book, name):
    code = book.invite()
    with pytest.raises(PairingRefused):
        book.pair(code, name, "", no_raters)
    assert book.pair(code, "anna", "", no_raters)


def test_the_file_holds_no_code_and_no_token_and_is_this_users_only(book):
    code = book.invite()
    _, token = book.pair(code, "anna", "", no_raters)
    code = book.invite()
    text = book._path.read_text()
    assert token not in text
    assert code.replace("-", "") not in text
    assert book._path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"devices":[{}],"invitation":null}', b"\xff"])
def test_a_damaged_file_lets_nobody_in(book, damage):
    _, token = book.pair(book.invite(), "anna", "", no_raters)
    assert book.find(token)
    book._path.write_bytes(damage)
    assert book.find(token) is None


def test_a_rate_limit_counts_a_window_and_forgets():
    clock = Clock()
    limit = RateLimit(2, 10, now=clock)
    assert [limit.take("a") for _ in range(3)] == [True, True, False]
    assert limit.take("b")
    clock.time += 10
    assert limit.take("a")
    for number in range(5000):
        limit.take(str(number))
    assert len(limit._times) <= 4096


# The cookie and what the guard of the computer itself checks


def test_the_cookie_is_for_https_and_this_port_and_out_of_reach_of_scripts(server, rating):
    name, _, rest = rating.set_cookie.partition("=")
    assert name == f"__Host-stablenew-{server.lan_port}"
    for part in ("Path=/", "Secure", "HttpOnly", "SameSite=Strict"):
        assert part in rest.split("; ")
    assert "Domain" not in rest


def test_plain_http_is_not_answered(server, rating):
    with socket.create_connection(("127.0.0.1", server.lan_port), timeout=30) as connection:
        request = f"GET /api/status HTTP/1.1\r\nHost: 127.0.0.1:{server.lan_port}\r\nCookie: {rating.cookie}\r\n\r\n"
        connection.sendall(request.encode())
        try:
            answer = connection.recv(1000)
        except ConnectionResetError:
            answer = b""
    assert b"HTTP" not in answer


def test_old_versions_of_tls_are_refused(server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", server.lan_port), timeout=30) as connection,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(connection)


def test_a_name_that_was_made_to_point_here_is_misdirected(server, rating):
    own, other = server.lan_port, server.port
    for host in ("evil.example", "127.0.0.1", f"localhost:{own}", f"127.0.0.1:{other}", f"x.local:{own}"):
        assert rating.ask("GET", "/api/status", Host=host)[0] == 421
        assert Device(server).ask("GET", "/pair", Host=host)[0] == 421


def test_requests_of_other_sites_are_refused(server, rating):
    assert rating.ask("GET", "/api/status", Sec_Fetch_Site="cross-site")[0] == 403
    assert rating.ask("GET", "/api/status", Sec_Fetch_Site="same-site")[0] == 403
    body = json.dumps({"code": server.invite(), "name": "x"})
    for origin in (
        f"http://127.0.0.1:{server.port}",
        f"http://127.0.0.1:{server.lan_port}",
        "null",
        "https://evil.example",
    ):
        assert Device(server).post_raw("/pair", body, Origin=origin)[0] == 403
        assert rating.post_raw("/api/feedback", "{}", Origin=origin)[0] == 403
    assert Device(server).post_raw("/pair", body, Content_Type="text/plain")[0] == 415
    assert Device(server).post_raw("/pair", "x" * 5_000_000)[0] == 413
    assert Device(server).post_raw("/pair", "x" * 5_000)[0] == 422
    assert Device(server).post_raw("/pair", "[" * 4_000)[0] == 422


def test_other_methods_do_nothing(server, rating):
    headers = {"Origin": server.lan_origin, "Content_Type": "application/json"}
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert rating.ask(method, "/api/status", "", **headers)[0] in {403, 405}
        assert rating.ask(method, "/pair", "", **headers)[0] == 405


def test_a_half_open_request_of_the_network_holds_up_nobody(server, rating):
    connections = [Device(server).connect() for _ in range(8)]
    for connection in connections:
        connection.connect()
        connection.sock.sendall(b"POST /pair HTTP/1.1\r\nHo")
    assert rating.get("/api/status")["rater"] == "anna"
    assert server.owner.get("/api/status")
    for connection in connections:
        connection.close()


def test_an_address_has_only_so_many_connections(server, rating):
    connections = [Device(server).connect() for _ in range(70)]
    for connection in connections:
        connection.connect()

    def is_closed(connection):
        connection.sock.settimeout(0.05)
        try:
            return connection.sock.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    assert sum(map(is_closed, connections)) >= 6
    assert server.owner.get("/api/status")
    for connection in connections:
        connection.close()
    assert rating.get("/api/status")["rater"] == "anna"


# Roles


def test_each_role_gets_what_it_may_and_no_more_on_every_address(server, rating):
    row = first_image(server)
    looking = Device(server).pair("screen", "--role", "look")
    for device, role in ((looking, Role.LOOK), (rating, Role.RATE)):
        for method, path in addresses():
            if path == "/api/live":
                continue
            address = fill(path, row["run_id"], row["digest"])
            status, _, body = device.ask(method, address) if method == "GET" else device.post_raw(address, "{}")
            if ROLES[f"{method} {path}"] > role:
                assert status == 403, (role, method, address, body)
            else:
                assert status in {200, 422} or path == "/api/images/details", (role, method, address, body)


SPELLINGS = [
    "//api/health", "/api/health/", "/api/./health", "/static/../api/health", "/API/health", "/api/health%00",
    "/api/%68ealth", "/static/%2e%2e/%2e%2e/errors.py", "/api/live/../health",
]  # fmt: skip


def test_no_spelling_of_an_address_gets_around_its_role(rating):
    for path in SPELLINGS:
        status, _, body = rating.ask("GET", path)
        assert status in {403, 404}, path
        assert b"watcher" not in body


def test_a_device_that_looks_cannot_rate_and_one_that_rates_cannot_say_who_it_is(server, root, rating):
    row = first_image(server)
    looking = Device(server).pair("screen", "--role", "look")
    rate(looking, row, 5, expected=403)
    assert not (root / row["run_id"] / "feedback.json").exists()
    assert rate(rating, row, 4)["saved"] == [ACT]
    says = [{"run_id": row["run_id"], "image_id": row["digest"], "rating": 1, "act": ACT, "rater": "owner"}]
    rating.post("/api/feedback", {"says": says}, expected=422)
    assert [(event["rater"], event["rating"]) for event in events_of(root, row["run_id"])] == [("anna", 4)]
    shown = server.owner.get(f"/api/images/rows?ids={row['id']}")["images"][0]
    assert shown["others"]["anna"]["rating"] == 4
    assert shown["mine"] == {}
    assert rating.get(f"/api/images/rows?ids={row['id']}")["images"][0]["mine"]["rating"] == 4


def test_a_device_undoes_its_own_acts_and_nobody_elses(server, root, rating):
    row = first_image(server)
    rate(server.owner, row, 5, act="ownersact000")
    rate(rating, row, 2)
    body = {"act": "ownersact000", "run_ids": [row["run_id"]]}
    assert rating.post("/api/undo", body) == {"undone": 0}
    assert rating.post("/api/undo", body | {"act": ACT}) == {"undone": 1}
    assert rating.post("/api/redo", body | {"act": ACT, "as_act": "again0000000"})["redone"] == 1
    shown = server.owner.get(f"/api/images/rows?ids={row['id']}")["images"][0]
    assert (shown["mine"]["rating"], shown["others"]["anna"]["rating"]) == (5, 2)


def test_the_trash_is_the_owners_and_what_comes_with_it_is_kept(server, rating):
    row = first_image(server)
    trashing = {"run_id": row["run_id"], "image_id": row["digest"], "trashed": True, "act": "trashing0000"}
    liking = {"run_id": row["run_id"], "image_id": row["digest"], "rating": 4, "act": ACT}
    answer = rating.post("/api/feedback", {"says": [liking, trashing]})
    assert answer["saved"] == [ACT]
    assert "owner's" in answer["refused"][0]["error"]


def test_nothing_can_be_changed_through_a_server_that_is_read_only(root, tmp_path):
    server = LanServer(root, tmp_path / "machine", "--read-only").start()
    device = Device(server).pair("anna", code=server.code)
    assert device.get("/api/status")["is_read_only"] is True
    assert "--read-only" in device.post("/api/undo", {}, expected=403)["error"]
    server.stop()


def test_a_vote_of_a_device_is_kept_under_its_name(server, root, rating):
    (first,) = server.owner.get("/api/images/rows?ids=1")["images"]
    (second,) = server.owner.get("/api/images/rows?ids=2")["images"]
    vote = {
        "winner_run_id": first["run_id"], "winner": first["digest"], "loser_run_id": second["run_id"],
        "loser": second["digest"], "act": ACT,
    }  # fmt: skip
    saved = rating.post("/api/duel/votes", {"votes": [vote]})["saved"]
    (event,) = events_of(root, saved[ACT])
    assert event["rater"] == "anna"


# What a device sees


def read_text(data):
    """What an answer says; None for pictures and other bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def words_of(texts):
    return re.findall(r"[\w.-]+", "\n".join(filter(None, map(read_text, texts))))


def test_a_device_sees_no_path_and_nothing_of_this_computer(server, root, rating, tmp_path):
    import getpass

    row = first_image(server)
    texts = []
    for method, path in addresses():
        if method == "GET" and path != "/api/live" and ROLES[f"{method} {path}"] <= Role.RATE:
            address = fill(path, row["run_id"], row["digest"])
            if path == "/api/images/rows":
                address += "?ids=1,2,3"
            if path == "/api/images/details":
                address += f"?id={row['id']}"
            texts.append(rating.ask("GET", address)[2])
    wait_for(lambda: b"data-first" in rating.ask("GET", "/")[2])
    texts.append(rating.ask("GET", "/")[2])
    text = b"\n".join(texts)
    assert row["digest"].encode() in text
    for secret in (str(root), str(tmp_path), root.parent.name, "outputs/txt2img"):
        assert secret.encode() not in text, secret
    # As whole words: a short name may stand in a random id, or in the bytes of any picture.
    assert socket.gethostname() not in words_of(texts)
    assert getpass.getuser() not in words_of(text for text in texts if b"rater" in text and b"<html" not in text)


def test_errors_name_no_folder_to_a_device(server, root, rating, tmp_path):
    row = first_image(server)
    gone = "20200101-000000-000-aaaaaaaaaa"
    (root / row["run_id"] / row["path"]).unlink()
    say = {"run_id": gone, "image_id": None, "rating": 5, "act": ACT}
    vote = {"winner_run_id": gone, "winner": "a" * 32, "loser_run_id": gone, "loser": "b" * 32, "act": ACT}
    answers = [
        rating.ask("GET", f"/outputs/{gone}/{row['digest'][7:]}"),
        rating.ask("GET", f"/outputs/{row['run_id']}/{row['digest'][7:]}"),
        rating.ask("GET", f"/thumbnails/{gone}/{row['digest'][7:]}/320"),
        rating.ask("GET", f"/thumbnails/{row['run_id']}/{row['digest'][7:]}/320"),
        rating.post_raw("/api/feedback", json.dumps({"says": [say]})),
        rating.post_raw("/api/duel/votes", json.dumps({"votes": [vote]})),
        rating.post_raw("/api/undo", json.dumps({"act": ACT, "run_ids": [gone]})),
    ]
    told = " ".join(f"{headers.get('x-reason', '')} {body.decode()}" for _, headers, body in answers)
    assert gone in told
    assert str(tmp_path) not in told
    assert root.parent.name not in told


def test_folders_are_cut_from_texts_and_nothing_else_is():
    from stablenew.web.lan.roles import OWNER, Viewer, without_places

    device = Viewer(Role.LOOK, device_id="1")
    for text, wanted in {
        "no run 'x' in /home/anna b/runs": "no run 'x' in …/runs",
        r"[Errno 2] No such file: 'C:\Users\anna\x.png'": "[Errno 2] No such file: '…/x.png'",
        "expected 1/2 and a/b": "expected 1/2 and a/b",
    }.items():
        assert without_places(text, device) == wanted
        assert without_places(text, OWNER) == text


def test_paths_in_settings_are_cut_and_prompts_stay():
    from stablenew.web.lan.device_view import without_paths

    given = {
        "model": "/home/anna/m.safetensors",
        "vae": r"C:\x\y.vae",
        "prompt": "/a quay/",
        "n": [1, "~/a/b"],
        "s": "Euler a",
    }
    wanted = {"model": "m.safetensors", "vae": "y.vae", "prompt": "/a quay/", "n": [1, "b"], "s": "Euler a"}
    assert without_paths(given) == wanted
    assert without_paths("/home/anna/m.safetensors", is_pattern=True) == "*m.safetensors"


def test_a_device_that_rates_blind_learns_nothing_of_what_others_think(server, rating):
    row = first_image(server)
    rate(server.owner, row, 5, act="ownersact000")
    says = [{"run_id": row["run_id"], "image_id": row["digest"], "tags": ["secretword"], "notes": "secretnote",
             "flag": "pick", "act": "ownersact001"}]  # fmt: skip
    server.owner.post("/api/feedback", {"says": says})
    rate(rating, row, 3)
    blind = Device(server).pair("ben", "--blind")
    wait_for(lambda: server.owner.get("/api/images/count?query=tag:secretword")["count"] == 1)
    shown = blind.get(f"/api/images/rows?ids={row['id']}")["images"][0]
    assert (shown["mine"], shown["others"], shown["rating"], shown["flag"], shown["tags"]) == ({}, {}, None, None, [])
    text = json.dumps([shown, blind.get(f"/api/images/details?id={row['id']}"), blind.get("/api/images/facets")])
    for word in ("secretword", "secretnote", "anna", "pick"):
        assert word not in text
    for query in ("rating:5", "flag:pick", "tag:secretword", "note:secretnote", "rater:anna", "unrated:no", "-noted:no",
                  "mine:5", "label:red", "jobrating:5", "aspect.anatomy:5"):  # fmt: skip
        assert blind.ask("GET", f"/api/images/count?query={query}")[0] == 422, query
        assert blind.get(f"/api/query?query={query}")["problem"], query
        assert blind.ask("GET", f"/api/grid?query={query}")[0] == 422, query
    for sort in ("best", "worst", "unrated", "aspect.anatomy", "rating"):
        assert blind.ask("GET", f"/api/images/snapshot?sort={sort}")[0] == 422, sort
    data = blind.ask("GET", "/api/images/snapshot")[2]
    count = int.from_bytes(data[:4], "little")
    assert data[-count:] == bytes(count)
    assert blind.get("/api/images/count?query=unrated:mine")["count"] == count
    assert rating.get("/api/images/count?query=unrated:mine")["count"] == count - 1


# Revoking


def test_a_revoked_device_gets_nothing_and_its_open_stream_ends(server, rating):
    connection = rating.connect()
    connection.request("GET", "/api/live", headers={"Cookie": rating.cookie})
    stream = connection.getresponse()
    assert stream.status == 200
    assert stream.readline() == b"retry: 500\n"
    other = Device(server).pair("ben")
    server.run("devices", "revoke", "anna")
    began = time.monotonic()
    while stream.readline():
        assert time.monotonic() - began < 60
    connection.close()
    assert rating.ask("GET", "/api/status")[0] == 401
    assert rating.ask("GET", "/static/js/app.js")[0] == 401
    assert other.get("/api/status")["rater"] == "ben"


def test_what_arrives_after_a_device_was_revoked_is_not_taken(server, root, rating):
    row = first_image(server)
    says = [{"run_id": row["run_id"], "image_id": row["digest"], "rating": 5, "act": ACT}]
    body = json.dumps({"says": says}).encode()
    connection = rating.connect()
    connection.putrequest("POST", "/api/feedback")
    for name, value in [("Origin", server.lan_origin), ("Content-Type", "application/json"),
                        ("Content-Length", str(len(body))), ("Cookie", rating.cookie)]:  # fmt: skip
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(body[:10])
    assert server.owner.get("/api/status")
    (device,) = server.owner.get("/api/devices")["devices"]
    server.owner.post("/api/devices/revoke", {"device": device["id"]})
    connection.send(body[10:])
    assert connection.getresponse().status == 400
    connection.close()
    assert not (root / row["run_id"] / "feedback.json").exists()


def test_a_device_hears_which_runs_change_and_nothing_more(server, rating):
    connection = rating.connect()
    connection.request("GET", "/api/live", headers={"Cookie": rating.cookie})
    stream = connection.getresponse()
    assert b"hello" in stream.readline() + stream.readline()
    server.owner.post("/api/tasks", {"kind": "survey"})
    row = first_image(server)
    rate(server.owner, row, 5)
    lines = []
    while not lines or b"changes" not in lines[-1]:
        lines.append(stream.readline())
    data = json.loads(stream.readline().removeprefix(b"data: "))
    assert data["jobs"] == {}
    assert data["changes"][0]["run_id"] == row["run_id"]
    assert not [line for line in lines if line.startswith((b"event: task", b"event: job", b"event: news"))]
    connection.close()


# The command


def test_without_lan_there_is_no_way_in_and_no_code(root, tmp_path):
    from tests import forked_commands
    from tests.web.serving import Server

    server = Server(root, tmp_path / "machine").start()
    client = Client(server).enter()
    assert client.get("/api/devices") == {"lan": None, "devices": []}
    assert "serve --lan" in client.post("/api/devices/invite", {}, expected=422)["error"]
    done = forked_commands.run("--runs-dir", str(root), "devices", "pair", env=server.environment)
    assert done.returncode == 2
    note = json.loads(next((server.machine / "state" / "servers").glob("*.json")).read_text())
    assert set(note) == {"port", "secret", "instance"}
    assert not (server.machine / "state" / "devices").exists()
    assert not (server.machine / "state" / "lan").exists()
    server.stop()


def test_serve_says_what_it_opens_and_draws_the_link(server):
    words = "".join(server.words)
    assert f"Open to the network at {server.lan_origin}" in words
    assert re.search("(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", words)
    assert "█▀" in words
    assert re.fullmatch("[A-Z2-9]{4}-[A-Z2-9]{4}", server.code)


def test_the_certificate_is_for_this_address_is_kept_and_its_key_is_this_users(server, root, tmp_path):
    from cryptography import x509

    pem = ssl.get_server_certificate(("127.0.0.1", server.lan_port), timeout=30)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    (key,) = (tmp_path / "machine" / "state" / "lan").glob("*.key")
    assert key.stat().st_mode & 0o077 == 0
    server.stop()
    again = LanServer(root, tmp_path / "machine").start()
    assert ssl.get_server_certificate(("127.0.0.1", again.lan_port), timeout=30) == pem
    again.stop()


def test_a_client_that_has_the_certificate_needs_no_exception(server):
    (path,) = (server.machine / "state" / "lan").glob("*.pem")
    context = ssl.create_default_context(cafile=str(path))
    with (
        socket.create_connection(("127.0.0.1", server.lan_port), timeout=30) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1") as secured,
    ):
        assert secured.version() in {"TLSv1.2", "TLSv1.3"}


@pytest.mark.parametrize("address", ["0.0.0.0", "no", "::1", "203.0.113.7"])
def test_an_address_that_is_not_this_machines_is_said(root, tmp_path, address):
    from tests import forked_commands

    done = forked_commands.run("--runs-dir", str(root), "serve", "--lan", "--lan-address", address)
    assert done.returncode == 2


def test_ctrl_c_ends_both_ways_in_while_streams_are_open(server, rating):
    connection = rating.connect()
    connection.request("GET", "/api/live", headers={"Cookie": rating.cookie})
    stream = connection.getresponse()
    stream.readline()
    code, said = server.stop()
    assert code == 0
    assert "Traceback" not in said
    connection.close()


def test_devices_are_listed_and_revoked_by_the_command(server, rating):
    (device,) = json.loads(server.run("devices", "list", "--json"))
    assert (device["name"], device["role"], device["rater"], device["address"]) == ("anna", "rate", "anna", "127.0.0.1")
    assert "token_hash" not in device
    assert "anna" in server.run("devices", "list")
    assert "anna is revoked" in server.run("devices", "revoke", device["id"])
    assert json.loads(server.run("devices", "list", "--json")) == []
