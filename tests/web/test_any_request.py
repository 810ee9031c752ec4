"""Whatever is asked, the answer is one of the API's own: an error is the caller's, and never the server's."""

import json
import re
import subprocess
import sys
from urllib.parse import quote

import pytest

from stablenew.web.web_app import ENDPOINTS
from tests.profiles import by_profile

_SOME = (300, 6, "fuzzing")
CASES, EXAMPLES, PHASES = by_profile(few=_SOME, quick=_SOME, ci=_SOME, nightly=(2_000, 60, "coverage,fuzzing"))
"""Requests at least, how many are generated for an endpoint, and the kinds of them."""
TEXTS = [
    "", "%00", "%FF%FE", "%ED%A0%80", "9" * 5_000, "-1", "9223372036854775808", "1e309", "..%2F..%2Fetc%2Fpasswd",
    quote("★" * 300), quote("*" * 200), quote("(" * 500), quote('"' * 99), quote("a:" * 400), quote("-" * 300), "%0A",
]  # fmt: skip
QUERIES = [
    *TEXTS,
    "steps:" + "9" * 5_000,
    "duration:" + "9" * 400,
    quote(" ".join(f"-w{number}" for number in range(1_100))),
    "cfg:" + ",".join(map(str, range(2_000))),
    quote("model:" + "*a" * 20),
]


def fill(path, run_id, digest, text):
    """An address with a text in the place of its last parameter, and something real in those before it."""
    names = re.findall(r"{(\w+)}", path)
    real = {"run_id": run_id, "digest": digest, "size": "320", "number": "0"}
    for name in names[:-1]:
        path = path.replace(f"{{{name}}}", real[name])
    return path.replace(f"{{{names[-1]}}}", text) if names else path


@pytest.mark.heavy
def test_any_value_of_any_parameter_is_an_answer_or_the_callers_error(client, run_ids):
    digest = client.get(f"/api/runs/{run_ids[0]}")["records"][0]["outputs"][0]["digest"][7:]
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" or endpoint.path == "/api/live":
            continue
        for text in TEXTS:
            path = fill(endpoint.path, run_ids[0], digest, text)
            status, _, body = client.ask("GET", path)
            assert status < 500, (path[:200], body[:300])
        for parameter in endpoint.parameters:
            for text in QUERIES if parameter.name == "query" else TEXTS:
                path = f"{fill(endpoint.path, run_ids[0], digest, run_ids[0])}?{parameter.name}={text}"
                status, _, body = client.ask("GET", path)
                assert status < 500, (path[:200], body[:300])


BODIES = [
    b"", b"\xff\xfe", b"[", b"null", b"[]", b'{"says":[]}', b"[" * 100_000, b'{"says":' + b"9" * 10_000 + b"}",
    b'"\\ud800"', b'{"run_ids":["\\u0000"],"act":"0123456789ab"}', b'{"name":"\\ud800","query":"x"}',
    b'{"rater":"\\u0000"}',
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_any_body_is_taken_or_the_callers_error(server, client, run_ids, body):
    for endpoint in ENDPOINTS:
        if endpoint.method == "POST" and not endpoint.path.endswith("/open"):
            path = endpoint.path.replace("{run_id}", run_ids[0])
            status, _, answer = client.ask("POST", path, body, Origin=server.origin, Content_Type="application/json")
            assert status < 500, (path, answer[:300])


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_generated_requests_and_no_server_error(server, client, tmp_path):
    pytest.importorskip("schemathesis")
    command = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
        "run", f"{server.origin}/api/openapi.json",
        "--header", f"Cookie: {client.cookie}", "--header", f"Origin: {server.origin}",
        "--exclude-path", "/api/live", "--exclude-path", "/api/runs/{run_id}/open",
        "--exclude-path", "/api/import", "--exclude-path", "/api/import/preview",  # they read any folder there is
        "--checks", "not_a_server_error", "--phases", PHASES, "--max-examples", str(EXAMPLES),
        "--suppress-health-check", "all", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-500:]
    (generated,) = re.findall(r"(\d+) generated", done.stdout)
    assert int(generated) >= CASES
    assert json.loads(client.ask("GET", "/api/status")[2])["run_count"] >= 4
