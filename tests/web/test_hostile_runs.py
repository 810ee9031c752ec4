"""A run folder may come from anybody: whatever is in it is shown harmlessly."""

import json

import pytest

from stablenew import RunStore
from stablenew.recording.image_content import build_image
from tests import samples
from tests.web.browser import expect
from tests.web.serving import Client

RUN = "20261121-120000-000-hhhhhhhhhh"
MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\u2028</title>{{7*7}}'
SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>window.hacked=1</script></svg>'
PAGE = b"<!doctype html><script>window.hacked=1</script>"


CONTENTS = [
    ("image/png", samples.png(b"honest")),
    ("image/png", PAGE),
    ("image/svg+xml", SCRIPT),
    ("text/html", PAGE + b" "),
    ("image/png", samples.huge_png()),
    ("image/png", samples.huge_png(20_000, 20_000)),
    ("image/png", samples.png(b"cut off")[:60]),
]


@pytest.fixture
def hostile(root):
    writer = RunStore(root).create(samples.metadata(RUN, packs=[{"id": "p", "name": MARKUP}], one_click_action=MARKUP))
    for index, (media_type, data) in enumerate(CONTENTS):
        image = build_image(data, variant=index, stage="txt2img", number=0, media_type=media_type, size=(8, 6))
        writer.write_output(data, variant=index, stage="txt2img", number=0, media_type=media_type)
        output = image.reference.model_copy(update={"role": "final"})
        prompt = {"positive": f"{MARKUP} {index}", "negative": MARKUP}
        writer.append_record(samples.record(RUN, index, [output], prompt=prompt))
    fields = {"packs": [{"id": "p", "name": MARKUP}], "one_click_action": MARKUP}
    writer.seal(samples.metadata(RUN, **fields, record_count=len(CONTENTS), output_count=len(CONTENTS)))
    return root / RUN


def digests(run_path):
    lines = (run_path / "records.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    return [json.loads(line)["outputs"][0]["digest"][7:] for line in lines]


def test_outputs_are_served_as_nothing_but_what_they_are(hostile, client):
    answers = [client.ask("GET", f"/outputs/{RUN}/{digest}") for digest in digests(hostile)]
    kinds = [(headers["content-type"], "content-disposition" in headers) for _, headers, _ in answers]
    png, file = ("image/png", False), ("application/octet-stream", True)
    assert kinds == [png, png, file, file, png, png, png]
    for (status, headers, body), (_, data) in zip(answers, CONTENTS, strict=True):
        assert (status, body) == (200, data)
        assert "sandbox" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_what_cannot_be_decoded_has_a_picture_that_says_so(hostile, client):
    answers = [client.ask("GET", f"/thumbnails/{RUN}/{digest}/320") for digest in digests(hostile)]
    assert [headers["content-type"] for _, headers, _ in answers] == ["image/webp", *["image/svg+xml"] * 6]
    assert [status for status, _, _ in answers] == [200] * 7
    assert all("pixels" in answer[1]["x-reason"] for answer in answers[4:6])
    assert all(b">cannot be shown<" in body for _, _, body in answers[1:])


def test_a_file_that_is_gone_has_a_picture_that_says_so(client, root, run_ids):
    path = next((root / run_ids[0] / "outputs").iterdir())
    digest = next(one for one in digests(root / run_ids[0]) if one.startswith(path.name.split(".")[1]))
    path.unlink()
    assert b">file not found<" in client.ask("GET", f"/thumbnails/{run_ids[0]}/{digest}/320")[2]


def test_a_link_in_the_place_of_an_output_is_not_followed(hostile, client, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(samples.png(b"secret"))
    path = next((hostile / "outputs").glob("0000-*"))
    path.unlink()
    path.symlink_to(secret)
    assert client.ask("GET", f"/outputs/{RUN}/{digests(hostile)[0]}")[0] == 404
    assert client.ask("GET", f"/thumbnails/{RUN}/{digests(hostile)[0]}/1024")[1]["content-type"] == "image/svg+xml"
    (hostile / "outputs").rename(tmp_path / "elsewhere")
    (hostile / "outputs").symlink_to(tmp_path / "elsewhere")
    assert client.ask("GET", f"/outputs/{RUN}/{digests(hostile)[1]}")[0] in {404, 500}


def test_a_thumbnail_is_never_of_another_image(hostile, client, root, run_ids):
    path = next((root / run_ids[0] / "outputs").iterdir())
    path.chmod(0o644)
    path.write_bytes(samples.png(b"other"))
    name = path.name.split(".")[1]
    digest = next(one for one in digests(root / run_ids[0]) if one.startswith(name))
    assert "not the one" in client.ask("GET", f"/thumbnails/{run_ids[0]}/{digest}/320")[1]["x-reason"]


def test_every_screen_shows_it_harmlessly(open_page, hostile, keep_screen):
    page = open_page("/jobs")
    expect(page.locator(".row", has_text="<script>")).to_have_count(1)
    page.goto(f"/?view=loupe&q=run:{RUN}")
    expect(page.locator(".loupe img.current")).to_have_attribute("data-index", "0")
    for key in "12345":
        page.keyboard.press(key)
    expect(page.locator(".loupe img.current")).to_have_attribute("data-index", "5")
    page.goto(f"/runs/{RUN}")
    expect(page.get_by_role("heading", level=1)).to_have_text(MARKUP)
    for _ in CONTENTS:
        page.keyboard.press("ArrowRight")
    keep_screen(page, "hostile")
    page.goto(f"/new?again={RUN}")
    expect(page.get_by_role("status", name="Plan")).to_contain_text("<script>")
    assert page.evaluate("() => window.hacked") is None


def test_ten_megabytes_of_json_hide_nothing_else(open_page, root, run_ids):
    records = root / run_ids[0] / "records.jsonl"
    records.chmod(0o644)
    with records.open("ab") as file:
        file.write(b'{"kind": "' + b"x" * 10_000_000 + b'"}\n')
    page = open_page("/jobs")
    expect(page.locator(".row:not([hidden])")).to_have_count(4)
    page.goto(f"/runs/{run_ids[0]}")
    expect(page.locator(".bad:not([hidden])").first).to_contain_text("records.jsonl, line 4")
    expect(page.locator(".strip button")).to_have_count(3)


def test_a_record_that_points_elsewhere_leads_nowhere(root, server, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    writer = RunStore(root).create(samples.metadata(RUN))
    writer.seal(samples.metadata(RUN, record_count=1, output_count=1))
    path = root / RUN / "records.jsonl"
    digest = "xxh128:" + "0" * 32
    line = samples.record(RUN, 0, []).to_dict()
    line["outputs"] = [
        {"path": "../../secret", "digest": digest, "size_bytes": 6, "media_type": "image/png", "stage": "x"}
    ]
    if path.exists():
        path.chmod(0o644)
    path.write_text(json.dumps(line) + "\n")
    client = Client(server).enter()
    assert client.ask("GET", f"/outputs/{RUN}/{digest[7:]}")[0] == 404
