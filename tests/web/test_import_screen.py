"""An empty page asks where the images are, and the images come."""

import os

import pytest

from tests.importing.images import fill, make_png
from tests.web.browser import expect
from tests.web.serving import Client, Server, wait_for


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "runs"


def test_from_nothing_to_images_by_three_clicks(home, open_page, keep_screen):
    outputs = home / "stable-diffusion-webui" / "outputs"
    fill(outputs / "txt2img-images", 40)
    (outputs / "plain.png").write_bytes(make_png(90, text=""))
    page = open_page()
    expect(page.get_by_role("heading", name="Where are your images?")).to_be_visible()
    page.get_by_role("button", name=f"Look inside {outputs}").click()
    inside = page.get_by_role("region", name=f"Inside {outputs}")
    expect(inside.get_by_text("41 new files")).to_be_visible()
    expect(inside.get_by_role("list", name="would be imported")).to_contain_text("40 A1111")
    expect(inside.get_by_role("list", name="would be left out")).to_contain_text("1 images without generation data")
    keep_screen(page, "import-preview")
    inside.get_by_role("button", name="Import 40 images").click()
    expect(page.get_by_text("40 images imported").first).to_be_visible()
    page.goto("/import")
    expect(page.get_by_label("Watch outputs")).to_be_checked()
    expect(page.get_by_role("list", name="left out")).to_contain_text("1 images without generation data")
    keep_screen(page, "import-done")


def test_what_is_saved_into_a_watched_folder_comes_until_the_watch_is_ended(home, open_page, client, server):
    fill(home / "pictures", 2)
    server.cookie = client.cookie  # the link is good once
    page = open_page("/import")
    page.get_by_label("Another folder").fill(str(home / "pictures"))
    page.get_by_role("button", name="Look inside", exact=True).click()
    page.get_by_role("button", name="Import 2 images").click()
    wait_for(lambda: client.get("/api/status")["run_count"] == 1)
    page.goto("/import")
    expect(page.get_by_label("Watch pictures")).to_be_checked()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(500)
    assert len(asked) < 9, "an import that is over is no reason to ask again and again"
    fill(home / "pictures", 1, first=9)
    wait_for(lambda: client.get("/api/status")["run_count"] == 2)
    page.get_by_label("Watch pictures").uncheck()
    wait_for(lambda: not client.post("/api/import/places", {})["sources"][0]["is_watched"])


def test_a_path_that_is_none_says_so_beside_the_field(home, open_page):
    open_page.tolerated = "422"
    page = open_page("/import")
    page.get_by_label("Another folder").fill(str(home / "nowhere"))
    page.get_by_role("button", name="Look inside", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("there is no folder")


def test_nothing_of_it_is_told_or_done_where_nothing_may_be_changed(home, tmp_path, root):
    fill(home / "ComfyUI" / "output", 2)
    server = Server(root, tmp_path / "machine", "--port", "0", "--read-only").start()
    client = Client(server).enter()
    for path, body in {
        "/api/import/places": {},
        "/api/import/preview": {"path": str(home)},
        "/api/import": {"paths": [str(home)]},
        "/api/import/watch": {"source": "x", "watch": True},
    }.items():
        assert "ComfyUI" not in str(client.post(path, body, expected=403))
    server.close()
    assert not root.exists() or not list(root.glob("2*"))


def test_other_sites_cannot_ask_what_folders_there_are(home, client, server):
    fill(home / "ComfyUI" / "output", 2)
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": server.origin, "Content_Type": "text/plain"}):
        status, _, body = client.ask("POST", "/api/import/places", "{}", **headers)
        assert status in (403, 415)
        assert b"ComfyUI" not in body
    assert client.post("/api/import/places", {})["places"][0]["tool"] == "ComfyUI"


def test_images_that_come_between_those_on_a_wall_nobody_touched_are_shown_at_once(open_page, root, tmp_path, server):
    folder = tmp_path / "pictures"
    fill(folder, 4)
    server.run("import", str(folder))
    page = open_page("/")
    expect(page.locator(".counts")).to_have_text("4 images · 4 unrated")
    for number, path in enumerate(fill(folder, 6, first=20)):
        moment = path.stat().st_mtime + (5 if number % 2 else -5000)
        os.utime(path, (moment, moment))
    server.run("import", str(folder))
    expect(page.locator(".counts")).to_have_text("10 images · 10 unrated")
    expect(page.locator(".pill")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    late = fill(folder, 2, first=40)
    os.utime(late[0], (1_600_000_000, 1_600_000_000))
    server.run("import", str(folder))
    expect(page.get_by_role("button", name="2 new")).to_be_visible()
    expect(page.locator(".counts")).to_have_text("10 images · 10 unrated")


@pytest.mark.parametrize(("width", "most"), [(1024, 44), (390, 72)])
def test_the_line_of_a_long_import_takes_little_room_on_other_screens(open_page, server, width, most):
    server.run("demo", "--quiet")
    page = open_page("/jobs", viewport={"width": width, "height": 768})
    line = page.locator(".import-line")
    expect(line).to_be_attached()
    line.evaluate(
        """line => {
            line.hidden = false;
            line.firstChild.textContent = "Taking in images: 12,448 of 53,071 read, 200 a second, 3 min 13 s left";
        }"""
    )
    expect(line).to_be_visible()
    for part in line.locator("> *").all():
        expect(part).to_be_in_viewport(ratio=1)
    assert line.bounding_box()["height"] <= most
