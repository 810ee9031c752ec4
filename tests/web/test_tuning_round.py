"""A round of tuning, made and rated in the page, and what becomes of the best settings."""

import json
import re

from stablenew.pipeline.prompt_pack import read_prompt_pack
from tests.web.browser import expect
from tests.web.serving import rate_all

SMALL = {"txt2img.width": 32, "txt2img.height": 32}


def test_a_round_is_made_and_rated_in_the_page(open_page, root, keep_screen):
    rate_all(root)
    page = open_page("/tune?over=cfg%3D3..12")
    making = page.get_by_role("button", name="Make these images")
    making.click(timeout=30_000)
    images = page.get_by_role("region", name="Rate these images")
    proposed = page.get_by_role("region", name="The next round").get_by_role("row").count() - 1
    expect(images.get_by_role("img")).to_have_count(proposed, timeout=60_000)
    for figure in images.get_by_role("figure").all():
        figure.get_by_role("button", name="4 stars").click(timeout=30_000)
    keep_screen(page, "tune-round")
    before = page.get_by_role("status").filter(has_text="ratings").inner_text()
    images.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("status").filter(has_text="ratings")).not_to_have_text(before, timeout=30_000)
    expect(page.get_by_role("link", name="a duel")).to_have_attribute("href", re.compile(r"/duel\?q=run:\S+"))


def test_two_settings_are_mapped_together(open_page, root):
    rate_all(root)
    page = open_page("/tune?over=cfg%3D3..12,steps%3D10..40")
    table = page.get_by_role("region", name="Two settings together").get_by_role("table")
    expect(table.get_by_role("rowheader")).to_have_count(9, timeout=30_000)
    expect(table.get_by_role("cell").nth(1)).to_have_text(re.compile(r"-?\d\.\d\d"))


def test_the_best_settings_become_a_pack_that_a_new_run_offers(open_page, root, server):
    rate_all(root)
    page = open_page("/tune?over=cfg%3D3..12")
    page.get_by_label("Name of the preset").fill("my taste", timeout=30_000)
    page.get_by_role("button", name="Use as preset").click()
    page.get_by_role("button", name="New run", exact=True).click(timeout=30_000)
    expect(page.get_by_label("Prompt pack")).to_have_value("my taste.json")
    pack = read_prompt_pack(server.machine / "packs" / "my taste.json")
    assert len(pack.prompts) == 4
    assert 3 <= pack.preset["txt2img"]["cfg_scale"] <= 12


def test_a_first_round_needs_a_prompt_and_only_known_settings_become_a_pack(client):
    body = {"over": "cfg=3..12", "settings": [f"{name}={value}" for name, value in SMALL.items()]}
    assert "name a prompt" in json.dumps(client.post("/api/rounds", body, expected=422))
    assert client.post("/api/rounds", body | {"prompt": "a hill"})["total"] == 4
    client.post("/api/packs", {"name": "../up", "settings": {}}, expected=422)
    client.post("/api/packs", {"name": "ok", "settings": {"txt2img.csf": 3}}, expected=422)
    client.post("/api/packs", {"name": "ok", "settings": {"txt2img.cfg_scale": 6.0}})
    client.post("/api/packs", {"name": "ok", "settings": {"txt2img.cfg_scale": 7.0}}, expected=422)
