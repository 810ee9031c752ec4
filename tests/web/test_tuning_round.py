"""A round of tuning, made and rated in the page, and what becomes of the best settings."""

import re

from stablenew import FeedbackManager, RunStore
from stablenew.pipeline.prompt_pack import read_prompt_pack
from tests.web.browser import expect
from tests.web.conftest import PROMPTS
from tests.web.serving import make_runs, rate_all, wait_for

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


def test_before_any_star_the_images_that_are_there_are_rated_on_the_spot(open_page, root):
    page = open_page("/tune")
    waiting = page.get_by_role("group", name="Not rated yet", exact=True)
    expect(waiting.get_by_role("img")).to_have_count(2, timeout=30_000)
    expect(page.get_by_text("Little is known yet")).to_be_visible()
    for image in (1, 2):
        name = f"Not rated yet, image {image}"
        waiting.get_by_role("group", name=f"{name}: not rated").get_by_role("button", name="4 stars").click()
        expect(waiting.get_by_role("group", name=f"{name}: 4 of 5")).to_be_visible()
    manager = FeedbackManager(RunStore(root))
    wait_for(lambda: sum(len(manager.opinions(run.run_id)) for run in RunStore(root).iter_runs()) == 2)


def test_stars_are_asked_for_again_without_showing_those_that_were_given(open_page, root, server):
    make_runs(root, [f"a greenhouse, the {number}th" for number in range(4, 10)], values=(4.0, 7.0), sampler="Heun")
    rate_all(root, rater=None)
    page = open_page("/tune")
    again = page.get_by_role("group", name="Rated long ago", exact=True)
    expect(again.get_by_role("group", name="not rated").first).to_be_visible(timeout=30_000)
    again.get_by_role("group", name="not rated").first.get_by_role("button", name="1 star", exact=True).click()
    expect(again.get_by_role("group", name="1 of 5").first).to_be_visible()
    page.get_by_role("button", name="Look", exact=True).click()
    expect(page.get_by_text("1 image rated again; stars differ by")).to_be_visible(timeout=30_000)


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


def test_a_first_round_takes_its_prompt_from_the_images_that_are_there(client, root):
    body = {"over": "cfg=3..12", "settings": [f"{name}={value}" for name, value in SMALL.items()]}
    first = client.post("/api/rounds", body)
    assert (first["label"] in PROMPTS, first["total"]) == (True, 2), "two images that are there are rated instead"
    assert client.post("/api/rounds", body | {"prompt": "a hill"})["label"] == "a hill"


def test_only_known_settings_become_a_pack(client):
    client.post("/api/packs", {"name": "../up", "settings": {}}, expected=422)
    client.post("/api/packs", {"name": "ok", "settings": {"txt2img.csf": 3}}, expected=422)
    client.post("/api/packs", {"name": "ok", "settings": {"txt2img.cfg_scale": 6.0}})
    client.post("/api/packs", {"name": "ok", "settings": {"txt2img.cfg_scale": 7.0}}, expected=422)
