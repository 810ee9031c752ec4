"""A second device in a real browser, 390 pixels wide: paired over HTTPS it rates by touch, and the owner sees it."""

import re
from contextlib import closing

import pytest

from tests.lanes import require
from tests.web.browser import expect
from tests.web.conftest import GONE, watch
from tests.web.lan_serving import Device, LanServer
from tests.web.serving import Client, events_of, wait_for

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "ignore_https_errors": True}
ROOMS = """() => {
  const shown = [...document.querySelectorAll(".top, .thumb-bar, .hud, .toolbar, .status-bar")]
    .filter((one) => one.offsetHeight && getComputedStyle(one).position !== "absolute");
  return shown.reduce((sum, one) => sum + one.offsetHeight, 0);
}"""


@pytest.fixture
def server(root, tmp_path):
    require("cryptography", "segno", extra="lan")
    started = LanServer(root, tmp_path / "machine").start()
    owner = Client(started).enter()
    started.cookie = owner.cookie
    wait_for(lambda: owner.get("/api/status")["is_indexed"])
    yield started
    started.close()


@pytest.fixture
def phone(browser, browser_context_args, server):
    """A function that opens an address on the phone; nothing may go wrong there but what is tolerated."""
    opened = []

    def open_address(address, **options):
        context = browser.new_context(**{**browser_context_args, "base_url": server.lan_origin, **PHONE, **options})
        page = context.new_page()
        opened.append((context, watch(page)))
        page.goto(address)
        return page

    open_address.tolerated = "^$"
    yield open_address
    ours = re.escape(server.lan_origin)
    for context, bad in opened:
        context.close()
        assert not [text for text in bad if not re.match(f"{ours}/|{open_address.tolerated}", text)]


def pair(page, code, name="anna"):
    page.goto(f"/pair#{code}")
    expect(page.get_by_label("Code")).to_have_value(code)
    assert code not in page.url
    page.get_by_label("Name of this device").fill(name)
    page.get_by_role("button", name="Pair").tap()
    expect(page.locator(".cell img.there").first).to_be_visible()


def swipe(page, start, end):
    session = page.context.new_cdp_session(page)
    points = [
        (start[0] + (end[0] - start[0]) * step / 8, start[1] + (end[1] - start[1]) * step / 8) for step in range(9)
    ]
    for kind, point in [("touchStart", points[0]), *(("touchMove", point) for point in points[1:]), ("touchEnd", None)]:
        at = [] if point is None else [{"x": point[0], "y": point[1]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})


def test_a_phone_is_paired_by_the_code_in_health_rates_by_touch_and_the_owner_sees_by_whom(
    server, root, open_page, phone, keep_screen
):
    owner = open_page("/health")
    devices = owner.get_by_role("region", name="Devices")
    expect(devices).to_contain_text(server.lan_origin)
    devices.get_by_role("button", name="Pair a device").click()
    code = devices.locator(".pairing strong").inner_text()
    picture = devices.get_by_role("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("(one) => one.naturalWidth") > 100
    keep_screen(owner, "health-pairing")

    page = phone("/")
    expect(page).to_have_url(f"{server.lan_origin}/pair")
    keep_screen(page, "phone-pair")
    pair(page, code)
    keep_screen(page, "phone-paired-wall")
    expect(devices.locator(".device")).to_contain_text("anna")
    expect(devices.locator(".pairing")).to_be_empty()

    owner.goto("/")
    expect(owner.locator(".cell img.there").first).to_be_visible()
    owner.locator(".cell").nth(1).dblclick()
    page.locator(".cell").nth(1).tap()
    expect(page.locator(".loupe img.current")).to_be_visible()
    keep_screen(page, "phone-paired-loupe")
    page.locator(".hud").get_by_role("button", name="4 stars").tap()
    expect(page.locator(".loupe img.current")).to_have_attribute("data-index", "2")
    expect(owner.locator(".loupe-marks")).to_contain_text("anna ★★★★")
    keep_screen(owner, "owner-sees-rating")
    swipe(page, (300, 400), (90, 410))
    expect(page.locator(".loupe img.current")).to_have_attribute("data-index", "3")
    events = [
        event for run in root.glob("2*") if (run / "feedback.json").exists() for event in events_of(root, run.name)
    ]
    assert [(event["rater"], event["rating"]) for event in events] == [("anna", 4)]


def test_the_picture_has_four_fifths_of_a_paired_phone(server, phone):
    page = phone("/pair")
    pair(page, server.code)
    assert page.locator(".wall .viewport").bounding_box()["height"] > 0.8 * 844
    assert page.evaluate(ROOMS) < 0.2 * 844
    page.locator(".cell").first.tap()
    expect(page.locator(".loupe img.current")).to_be_visible()
    assert page.locator(".stage").bounding_box()["height"] > 0.8 * 844


def test_over_plain_http_a_phone_is_paired_and_rates_without_what_browsers_keep_for_https(
    root, tmp_path, browser, browser_context_args
):
    with closing(LanServer(root, tmp_path / "plain", "--insecure").start()) as server:
        assert server.lan_origin.startswith("http://")
        assert any("act as a device that you paired" in line for line in server.words)
        context = browser.new_context(**{**browser_context_args, "base_url": server.lan_origin, **PHONE})
        page = context.new_page()
        page.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })")
        bad = watch(page)
        pair(page, server.code)
        page.locator(".cell").first.tap()
        page.locator(".hud").get_by_role("button", name="4 stars").tap()
        expect(page.locator(".loupe img.current")).to_have_attribute("data-index", "1")
        expect(page.locator("#saving")).to_be_hidden()
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", False)
        assert not bad
        context.close()
    assert len(list(root.glob("2*/feedback.*.jsonl"))) == 1


def test_a_device_is_offered_what_it_may_do_and_nothing_goes_wrong_on_its_screens(server, phone):
    page = phone("/pair")
    pair(page, server.code)
    links = {link.inner_text() for link in page.locator("header nav a").all()}
    hrefs = page.eval_on_selector_all("[data-screen]", "(all) => all.map((one) => one.dataset.screen)")
    assert set(hrefs) == {"wall", "duel", "grid"}, links
    page.locator(".cell").first.tap()
    page.get_by_role("button", name="About this image").last.tap()
    expect(page.locator(".info-body")).to_contain_text("Prompt")
    expect(page.locator(".info-body")).to_contain_text("Engine")
    expect(page.locator(".info-body a[href^='/runs/']")).to_have_count(0)
    for address, there in (("/grid?x=cfg", ".grid-cell, td"), ("/duel", "main h1, main h2, main p")):
        page.goto(address)
        expect(page.locator(there).first).to_be_visible()
    page.wait_for_timeout(800)  # what comes late on a screen comes now


def test_a_device_that_only_looks_has_no_stars_to_tap(server, phone):
    page = phone("/pair")
    pair(page, server.invite("--role", "look"), "screen")
    page.locator(".cell").first.tap()
    expect(page.locator(".hud .star").first).to_be_disabled()
    expect(page.get_by_text("read only")).to_be_attached()


def test_a_revoked_phone_is_back_at_the_door(server, phone):
    phone.tolerated = f"401 |.*401|{GONE}|.*{GONE}"
    page = phone("/pair")
    pair(page, server.code)
    server.run("devices", "revoke", "anna")
    expect(page).to_have_url(f"{server.lan_origin}/pair")
    assert Device(server).ask("GET", "/api/status")[0] == 401


def test_a_wrong_code_is_said_and_the_right_one_still_works(server, phone):
    phone.tolerated = "403 |.*403"
    page = phone("/pair")
    page.get_by_label("Code").fill("aaaa-aaaa")
    page.get_by_label("Name of this device").fill("anna")
    page.get_by_role("button", name="Pair").tap()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.get_by_label("Code").fill(server.code.lower())
    page.get_by_role("button", name="Pair").tap()
    expect(page.locator(".cell img.there").first).to_be_visible()


def test_axe_finds_nothing_at_the_door_and_in_health(server, phone, open_page):
    from axe_playwright_python.sync_playwright import Axe

    page = phone("/pair")
    assert not Axe().run(page).response["violations"]
    owner = open_page("/health")
    owner.get_by_role("button", name="Pair a device").click()
    expect(owner.locator(".pairing img")).to_be_visible()
    assert not Axe().run(owner).response["violations"]
