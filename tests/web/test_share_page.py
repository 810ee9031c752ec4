"""The page of a pack, opened as a file in a real browser: no server, no errors, nothing asked of anybody."""

import zipfile

import pytest

from stablenew import JobHistory, RunStore
from stablenew.controller.app_controller import AppController
from stablenew.exporting.share.share_pack import write_pack
from tests.web.browser import expect
from tests.web.serving import make_runs, rate_all

HOSTILE = "<img src=x onerror=alert(1)> </script><script>alert(2)</script> \u2028 quay"


@pytest.fixture
def open_pack(browser, browser_context_args, tmp_path):
    """A function that packs a store and opens the page; at the end nothing may have gone wrong in it."""
    bad, contexts = [], []

    def open_page(root, *without, arrange=list, **options):
        history = JobHistory(root)
        history.refresh(is_patient=True)
        insights = AppController(runs_dir=root).datasets.insights("")
        target = tmp_path / "pack.zip"
        images = arrange(history.search_images(""))
        write_pack(RunStore(root), images, target, without=frozenset(without), insights=insights)
        with zipfile.ZipFile(target) as archive:
            archive.extractall(tmp_path / "unpacked")
        context = browser.new_context(**{**browser_context_args, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: bad.append(f"error {error}"))
        page.on("console", lambda message: bad.append(message.text) if message.type != "log" else None)
        page.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else bad.append(one.url))
        page.on("requestfailed", lambda one: bad.append(one.url))
        page.on("dialog", lambda dialog: bad.append(dialog.message))
        page.goto((tmp_path / "unpacked" / "stablenew-pack" / "index.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not bad


@pytest.fixture
def rated(root):
    make_runs(root, [HOSTILE], sampler="Heun", values=(4.0, 7.0))
    rate_all(root)
    return root


def test_wall_loupe_stars_and_evidence_open_from_a_folder(open_pack, rated, keep_screen):
    page = open_pack(rated)
    expect(page.locator(".cell")).to_have_count(14)
    page.wait_for_function("() => [...document.images].filter((one) => one.naturalWidth > 0).length >= 14")
    expect(page.locator("#evidence")).to_contain_text("CFG scale")
    keep_screen(page, "pack-wall")
    page.get_by_label("Order").select_option("best")
    expect(page.locator(".cell .stars").first).to_have_text("★★★★★")
    page.locator("#least").select_option("5")
    expect(page.locator(".cell")).to_have_count(5)
    expect(page.locator("#facts")).to_have_text("5 of 14 images")
    page.locator(".cell").first.click()
    loupe = page.get_by_role("dialog")
    expect(loupe).to_be_visible()
    page.wait_for_function("() => document.getElementById('picture').naturalWidth > 0")
    expect(loupe).to_contain_text("anna")
    expect(loupe.get_by_role("term").filter(has_text="CFG scale")).to_be_visible()
    expect(loupe.get_by_text("upscaler")).to_have_count(0)
    keep_screen(page, "pack-loupe")
    first = page.locator("#picture").get_attribute("src")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#picture")).not_to_have_attribute("src", first)
    page.keyboard.press("Escape")
    expect(loupe).to_be_hidden()


def test_images_that_were_put_in_order_are_shown_in_it(open_pack, rated):
    page = open_pack(rated, arrange=lambda images: sorted(images, key=lambda image: image["digest"]))
    assert page.get_by_label("Order").input_value() == "arranged"
    arranged = [cell.get_attribute("aria-label") for cell in page.locator(".cell").all()]
    assert [label.split(",")[0] for label in arranged] == [f"Image {number}" for number in range(1, 15)]
    page.get_by_label("Order").select_option("newest")
    newest = [cell.get_attribute("aria-label") for cell in page.locator(".cell").all()]
    page.get_by_label("Order").select_option("oldest")
    oldest = [cell.get_attribute("aria-label") for cell in page.locator(".cell").all()]
    assert sorted(newest) == sorted(arranged)
    assert newest != arranged
    assert "harbour" in oldest[0]


def test_a_hostile_prompt_is_text(open_pack, rated):
    page = open_pack(rated)
    page.locator(".cell").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("<script>alert(2)</script>")


def test_a_redacted_pack_shows_pictures_and_whose_word_it_is_also_on_a_phone(open_pack, rated, keep_screen):
    page = open_pack(rated, "prompts", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.wait_for_function("() => [...document.images].filter((one) => one.naturalWidth > 0).length >= 6")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    expect(page.locator("#word")).to_contain_text("word of who shared it")
    page.locator(".cell").first.tap()
    expect(page.get_by_role("dialog")).to_contain_text("rater 1")
    keep_screen(page, "pack-phone")
    page.get_by_role("button", name="Next image").tap()
    page.get_by_role("button", name="Close").tap()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_pack_without_images_is_a_list_of_what_was_made(open_pack, rated):
    page = open_pack(rated, "images")
    expect(page.locator(".cell.bare")).to_have_count(14)
    expect(page.locator(".cell.bare").last).to_contain_text("harbour")


def test_axe_finds_nothing_in_a_pack(open_pack, rated):
    from axe_playwright_python.sync_playwright import Axe

    page = open_pack(rated)
    expect(page.locator(".cell")).to_have_count(14)
    assert not Axe().run(page, options={"preload": False}).response["violations"]
    page.locator(".cell").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert not Axe().run(page, options={"preload": False}).response["violations"]
