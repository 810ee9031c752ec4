"""Everybody can use it: axe finds nothing, keys reach everything, small windows and both colour schemes work."""

import pytest

from tests.web.browser import expect
from tests.web.serving import make_runs, rate_all
from tests.web.test_run_screen import STAGES

SCREENS = {
    "wall": ("/", ".cell img.there"),
    "wall-grouped": ("/?group=prompt", ".wall-heading strong"),
    "wall-none": ("/?q=nowhere", ".empty h2"),
    "loupe": ("/?view=loupe", ".loupe img.current[data-index]"),
    "wall-stacked": ("/?stack=1", ".cell img.there"),
    "compare": ("/compare?q=harbour", ".compare-facts .star"),
    "duel-setup": ("/duel", ".side-choice"),
    "duel": ("/duel?by=cfg", ".answers button:enabled"),
    "duel-result": ("/duel?by=cfg&result=1", ".duel-result h1"),
    "grid": ("/grid?x=cfg&y=prompt", ".grid-cell img.there"),
    "grid-panels": ("/grid?x=cfg&y=sampler&panel=prompt", ".grid-cell img.there"),
    "trash": ("/trash", "main h1"),
    "import": ("/import", "main h1"),
    "jobs": ("/jobs", ".row .star"),
    "jobs-search": ("/jobs?q=harbour", ".row .star"),
    "jobs-none": ("/jobs?q=nowhere", ".empty h2"),
    "new": ("/new", '[aria-label="State of the engine"] .ok'),
    "insights": ("/insights", ".heat"),
    "tune": ("/tune", ".curve"),
    "health": ("/health", ".pairs"),
}


WIDEST = """() => {
  const all = [document.documentElement, document.querySelector("main")];
  return Math.max(...all.map((one) => one.scrollWidth));
}"""
SHOWN = """() => [...document.images].filter((one) => one.naturalWidth && one.offsetWidth && !one.src.endsWith("svg"))
  .map((one) => [getComputedStyle(one).objectFit, one.naturalWidth / one.naturalHeight,
    one.offsetWidth / one.offsetHeight])
"""
FOCUSED = """() => {
  const one = document.activeElement;
  return [getComputedStyle(one).outlineStyle, one.className || one.tagName];
}"""


RULES_OF_SCHEME = {"light": None, "dark": {"runOnly": ["color-contrast", "link-in-text-block"]}}
"""The rules of axe to check; None is all. Of all rules only these look at colours, so the others are checked once."""


SWITCH = """async (theme) => {
  document.documentElement.dataset.theme = theme;
  await new Promise(requestAnimationFrame);
  const ending = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime !== Infinity);
  await Promise.allSettled(ending.map((one) => one.finished));
}"""
"""Changes the colours, and waits until none is on its way to another."""


@pytest.fixture(scope="session")
def axe():
    """A function that gives the violations in a page; a page is given the script once."""
    from axe_playwright_python.base import AXE_SCRIPT

    run = "([context, rules]) => axe.run(context ?? document, rules).then((found) => found.violations)"

    def find_violations(page, context, rules):
        if not page.evaluate("() => 'axe' in window"):
            page.evaluate(AXE_SCRIPT)
        return page.evaluate(run, [context, {"resultTypes": ["violations"], **(rules or {})}])

    return find_violations


def test_axe_finds_nothing_on_any_screen_light_and_dark(open_page, axe, root, keep_screen):
    make_runs(root, ["a quay"], sampler="Heun")
    (run_id,) = make_runs(root, ["a greenhouse"], stages=STAGES)
    rate_all(root)
    page = open_page("/")
    found = {}

    def look(name, context=None):
        for scheme, rules in RULES_OF_SCHEME.items():
            page.evaluate(SWITCH, scheme)
            for violation in axe(page, context, rules):
                nodes = [node["html"][:200] for node in violation["nodes"][:3]]
                found.setdefault(f"{scheme} {name}", []).append((violation["id"], nodes))
            if context is None:
                keep_screen(page, f"{scheme}-{name}")

    for name, (address, there) in {**SCREENS, "run": (f"/runs/{run_id}", ".timing")}.items():
        page.goto(address)
        expect(page.locator(there).first).to_be_visible()
        if name in {"wall", "jobs"}:
            expect(page.locator(".facet")).not_to_have_count(0)
            page.keyboard.press("3")
        if name == "loupe":
            page.keyboard.press("i")
            expect(page.locator(".info-actions")).to_be_visible()
        look(name)
    page.goto("/")
    expect(page.locator(".cell img.there").first).to_be_visible()
    page.locator(".cell").first.hover()
    look("hover", ".wall-body")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.get_by_role("group", name="The selection")).to_be_visible()
    look("selection", ".status-bar")
    for key in ("?", "t", "n"):
        page.keyboard.press(key)
        expect(page.get_by_role("dialog")).to_be_visible()
        look(f"dialog {key}", "dialog")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    assert not found


def test_a_phone_shows_everything_without_scrolling_sideways(open_page, root, run_ids, keep_screen):
    make_runs(root, ["a quay"], sampler="Heun")
    rate_all(root)
    page = open_page("/", viewport={"width": 390, "height": 800}, has_touch=True)
    for name, (address, there) in {**SCREENS, "run": (f"/runs/{run_ids[0]}", ".timing")}.items():
        page.goto(address)
        expect(page.locator(there).first).to_be_visible()
        assert page.evaluate(WIDEST) <= 390, name
        if name in {"wall", "loupe"}:
            shown = page.locator(".wall .viewport" if name == "wall" else ".stage").bounding_box()
            assert shown["height"] > 0.8 * 800, name
        keep_screen(page, f"phone-{name}")


@pytest.mark.only_reads
def test_images_are_never_stretched(open_page, run_ids):
    page = open_page("/")
    for address in ("/jobs", f"/runs/{run_ids[0]}", "/"):
        page.goto(address)
        page.wait_for_function(f"() => ({SHOWN})().length > 0")
        for fit, natural, shown in page.evaluate(SHOWN):
            assert fit in {"contain", "cover"} or abs(natural - shown) < 0.02, address


@pytest.mark.only_reads
def test_focus_can_be_seen_wherever_tab_leads(open_page):
    page = open_page("/")
    expect(page.locator(".facet")).not_to_have_count(0)
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        outline, name = page.evaluate(FOCUSED)
        if name == "cells":  # the image under the cursor shows it
            frame = page.locator(".cell.cursor").evaluate("(one) => getComputedStyle(one, '::after').boxShadow")
            assert frame != "none"
        elif name != "BODY":
            assert outline != "none", name
            reached.add(name)
    assert {"skip", "brand", "query-input", "SELECT"} <= reached


@pytest.mark.only_reads
def test_the_skip_link_leads_to_the_content(open_page):
    page = open_page("/")
    expect(page.locator(".cell:not([hidden])")).to_have_count(12)
    page.locator("body").press("Shift+Tab")
    page.evaluate("() => document.activeElement.blur()")
    page.get_by_role("link", name="Skip to content").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Sort")).to_be_focused()


def test_read_only_shows_everything_and_offers_nothing(browser, browser_context_args, root, tmp_path):
    from tests.web.conftest import watch
    from tests.web.serving import Server

    server = Server(root, tmp_path / "machine", "--port", "0", "--read-only").start()
    context = browser.new_context(**{**browser_context_args, "base_url": server.origin})
    page = context.new_page()
    bad = watch(page)
    page.goto(server.link)
    expect(page.get_by_text("read only")).to_be_visible()
    expect(page.locator(".cell img.there").first).to_be_visible()
    page.locator(".cell").first.hover()
    expect(page.locator(".hover-bar")).to_be_hidden()
    for key in ("5", "p", "t", "n", "z", "Backspace"):
        page.keyboard.press(key)
    page.keyboard.press("Space")
    expect(page.locator(".hud .star").first).to_be_disabled()
    page.goto("/jobs")
    expect(page.locator(".row .star").first).to_be_disabled()
    page.keyboard.press("5")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto("/new")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    page.wait_for_timeout(200)
    assert not bad
    context.close()
    server.stop()


@pytest.mark.only_reads
def test_an_address_of_nothing_shows_the_way_back(open_page):
    open_page.tolerated = "404"
    page = open_page("/nowhere")
    page.get_by_role("link", name="Go to the wall").click()
    expect(page.locator(".cell img.there").first).to_be_visible()


@pytest.mark.only_reads
def test_a_phone_says_why_a_search_cannot_be_read(open_page):
    open_page.tolerated = "422"
    page = open_page("/?q=cfgg:5", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    expect(page.locator(".empty").get_by_text("no field 'cfgg'")).to_be_visible()
    page.get_by_role("button", name="Show all images").click()
    expect(page.locator(".cell img.there").first).to_be_visible()


@pytest.mark.only_reads
def test_words_of_the_search_are_whole_or_away(open_page):
    page = open_page("/", viewport={"width": 1024, "height": 768})
    chips = page.locator(".chip")
    expect(chips).to_have_count(2)
    cut = "chips => chips.filter((chip) => chip.scrollWidth > chip.clientWidth).length"
    assert chips.evaluate_all(cut) == 0
    expect(page.locator(".chips-hint")).to_be_hidden()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto("/")
    expect(page.locator(".chips-hint")).to_be_visible()


@pytest.mark.only_reads
def test_with_its_text_twice_as_large_everything_of_the_frame_is_in_reach(open_page):
    page = open_page("/", viewport={"width": 720, "height": 450}, device_scale_factor=2)
    expect(page.locator(".cell img.there").first).to_be_visible()
    for control in (page.locator("#query"), page.locator("#keys"), page.get_by_role("link", name="Health").first):
        box = control.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 720
    page.goto("/jobs")
    expect(page.locator(".row .time").first).to_be_visible()
    assert page.locator(".row .prompt").first.bounding_box()["width"] > 100
