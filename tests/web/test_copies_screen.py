"""Copies: two images that look alike, side by side, and a person who says whether they are one picture."""

import json
import re

import pytest

from stablenew import RunStore
from stablenew.importing.importer import Importer
from tests.importing.test_moved_and_held import pattern, rewrite
from tests.web.browser import expect
from tests.web.serving import wait_for
from tests.web.test_loupe import at


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A store of three pictures: one has a lossless and a lossy copy, one a lossy one."""
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(tmp_path / "machine" / "state"))  # the server's, which has the source
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    for number in range(3):
        (outputs / f"{number}.png").write_bytes(pattern(number))
    (outputs / "lossless.webp").write_bytes(rewrite(pattern(0), "WEBP", lossless=True))
    for number in range(2):
        (outputs / f"lossy-{number}.jpg").write_bytes(rewrite(pattern(number), "JPEG", quality=60))
    Importer(RunStore(tmp_path / "runs"), takes_all=True).run(outputs)
    return tmp_path / "runs"


def count_images(client):
    return client.get("/api/images/count")["count"]


def test_a_person_joins_parts_and_takes_back(open_page, client, keep_screen, server):
    server.cookie = client.cookie  # the link is good once
    page = open_page("/health")
    page.get_by_role("link", name="Copies").click()
    expect(page.get_by_role("region", name="Not looked at yet")).to_contain_text("6 images not looked at yet")
    page.get_by_role("button", name="Look at them").click()
    expect(page.get_by_text("1 picture in several files")).to_be_visible()
    expect(page.get_by_text("2 pairs to look at")).to_be_visible()
    pair = page.get_by_role("region", name="Pair")
    expect(pair.get_by_role("img")).to_have_count(2)
    expect(pair).to_contain_text("JPEG")
    keep_screen(page, "copies")
    wait_for(lambda: count_images(client) == 5)  # files with the same pixels are one already
    page.get_by_role("button", name="One picture").click()
    expect(page.get_by_text("1 pair to look at")).to_be_visible()
    wait_for(lambda: count_images(client) == 4)
    page.keyboard.press("n")
    expect(page.get_by_text("No pairs to look at.")).to_be_visible()
    wait_for(lambda: client.get("/api/copies")["count"] == 0)
    page.reload()
    expect(page.get_by_text("No pairs to look at.")).to_be_visible()
    wait_for(lambda: count_images(client) == 4)  # two pictures stay two rows


def test_the_loupe_leads_to_the_other_files_of_a_picture(open_page, client, server):
    server.run("copies")
    server.cookie = client.cookie
    wait_for(lambda: count_images(client) == 5)
    rows = json.loads(server.run("images", "--json"))
    (row,) = [row for row in rows if len(row["places"]) > 1]
    (other,) = {place["digest"] for place in row["places"]} - {row["digest"]}
    page = open_page(f"/?q=digest:{row['digest'][7:]}&view=loupe")
    at(page, 0)
    page.keyboard.press("i")
    panel = page.get_by_role("complementary", name="About this image")
    expect(panel.get_by_role("link", name=other[7:15])).to_have_attribute("href", re.compile(other[7:]))


def test_what_was_said_by_mistake_is_taken_back(open_page, client, server):
    server.run("copies")
    server.cookie = client.cookie
    page = open_page("/copies")
    expect(page.get_by_text("2 pairs to look at")).to_be_visible()
    page.get_by_role("button", name="Later").click()
    page.keyboard.press("y")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    wait_for(lambda: count_images(client) == 4)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("region", name="Pair")).to_be_visible()
    wait_for(lambda: count_images(client) == 5)
    wait_for(lambda: client.get("/api/copies")["count"] == 2)


def test_health_says_where_the_images_are(open_page, client, server, tmp_path):
    (tmp_path / "outputs" / "2.png").unlink()
    server.cookie = client.cookie
    page = open_page("/health")
    page.get_by_role("button", name="Verify all runs").click()
    images = page.get_by_role("list", name="Images")
    expect(images.get_by_role("listitem")).to_have_text(["0 in the store", "5 where they were found", "1 missing"])
