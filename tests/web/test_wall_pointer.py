"""The wall by mouse and finger: hovering, clicking, drawing a rectangle, tapping, swiping; and how few it takes."""

import re

import pytest

from tests.web.browser import expect
from tests.web.serving import events_of, wait_for

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def cell(page, number):
    return page.locator(f'.cell[aria-posinset="{number}"]')


def selected(page):
    return page.locator('.cell[aria-selected="true"]:not([hidden])')


def ratings(root, run_ids):
    return [event["rating"] for run_id in run_ids for event in events_of(root, run_id)]


@pytest.fixture
def page(open_page):
    opened = open_page("/?q=")
    expect(opened.locator(".cell img.there")).to_have_count(12)
    return opened


def middle(box):
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def touch(page, points):
    """One finger along these points."""
    session = page.context.new_cdp_session(page)
    for kind, point in [("touchStart", points[0]), *(("touchMove", point) for point in points[1:]), ("touchEnd", None)]:
        at = [{"x": point[0], "y": point[1]}] if point else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    session.detach()


def steps(start, end, count=10):
    return [
        (start[0] + (end[0] - start[0]) * step / count, start[1] + (end[1] - start[1]) * step / count)
        for step in range(count + 1)
    ]


def test_stars_pick_reject_and_trash_are_under_the_mouse(page, root, run_ids, keep_screen):
    cell(page, 2).hover()
    bar = page.locator(".hover-bar")
    expect(bar).to_be_visible()
    bar.get_by_role("button", name="4 stars").click()
    expect(cell(page, 2).locator(".rating")).to_have_text("★★★★")
    cell(page, 5).hover()
    keep_screen(page, "wall-hover")
    bar.get_by_role("button", name="Pick").click()
    expect(cell(page, 5).locator(".flag.pick")).to_have_count(1)
    cell(page, 6).hover()
    bar.get_by_role("button", name="Trash").click()
    expect(page.locator(".cell.trashed")).to_have_count(1)
    cell(page, 7).hover()
    bar.get_by_role("button", name="Reject").click()
    expect(page.locator(".cell.rejected")).to_have_count(1)
    expect(page.locator("#saving")).to_be_hidden()
    operations = [event["op"] for run_id in run_ids[:3] for event in events_of(root, run_id)]
    assert operations == ["rate", "flag", "trash", "flag"]


@pytest.mark.only_reads
def test_the_image_that_has_the_cursor_at_first_is_not_selected_with_others(page):
    cell(page, 3).click(modifiers=["Control"])
    cell(page, 4).click(modifiers=["Control"])
    expect(page.get_by_role("button", name="2 selected")).to_be_visible()
    cell(page, 6).click()  # the cursor that somebody put there is
    cell(page, 8).click(modifiers=["Control"])
    expect(page.get_by_role("button", name="2 selected")).to_be_visible()
    expect(cell(page, 6)).to_have_attribute("aria-selected", "true")


@pytest.mark.only_reads
def test_images_are_selected_by_click_shift_ctrl_and_corner(page):
    cell(page, 2).click()
    expect(page.locator(".cell.cursor")).to_have_attribute("aria-posinset", "2")
    expect(selected(page)).to_have_count(0)
    cell(page, 5).click(modifiers=["Shift"])
    expect(selected(page)).to_have_count(4)
    cell(page, 4).click(modifiers=["Control"])
    expect(selected(page)).to_have_count(3)
    expect(page.get_by_role("button", name="3 selected")).to_be_visible()
    page.get_by_role("button", name="3 selected").click()
    expect(selected(page)).to_have_count(0)
    cell(page, 8).hover()
    cell(page, 8).locator(".tick").click(force=True)
    expect(selected(page)).to_have_count(1)
    expect(selected(page)).to_have_attribute("aria-posinset", "8")


@pytest.mark.only_reads
def test_a_rectangle_selects_what_it_touches(page, keep_screen):
    first, other = cell(page, 1).bounding_box(), cell(page, 3).bounding_box()
    page.mouse.move(first["x"] + 20, first["y"] + 20)
    page.mouse.down()
    page.mouse.move(*middle(other), steps=6)
    expect(page.locator(".band")).to_be_visible()
    keep_screen(page, "wall-band")
    page.mouse.up()
    expect(page.locator(".band")).to_be_hidden()
    expect(selected(page)).to_have_count(3)
    cell(page, 9).click()
    expect(selected(page)).to_have_count(0)


def test_ten_ratings_take_ten_keys(page, root, run_ids):
    for _ in range(10):
        page.keyboard.press("4")
    expect(page.locator(".counts")).to_have_text("12 images · 2 unrated")
    expect(page.locator("#saving")).to_be_hidden()
    assert ratings(root, run_ids) == [4] * 10


def test_ten_ratings_take_eleven_clicks_in_the_loupe_and_ten_on_the_wall(page, root, run_ids):
    cell(page, 1).dblclick()
    for _ in range(9):
        page.locator(".hud").get_by_role("button", name="3 stars").click()
    expect(page.locator(".counts")).to_have_text("12 images · 3 unrated")
    page.keyboard.press("Escape")
    for number in (10, 11, 12):
        cell(page, number).hover()
        page.locator(".hover-bar").get_by_role("button", name="5 stars").click()
    expect(page.locator(".counts")).to_have_text("12 images · 0 unrated")
    expect(page.locator("#saving")).to_be_hidden()
    assert sorted(ratings(root, run_ids)) == [3] * 9 + [5] * 3


def test_ten_ratings_take_eleven_taps(open_page, root, run_ids, keep_screen):
    page = open_page("/", **PHONE)
    expect(cell(page, 1).locator("img.there")).to_have_count(1)
    keep_screen(page, "phone-wall-tap")
    cell(page, 1).tap()
    expect(page.locator(".loupe img.current")).to_have_attribute("data-index", "0")
    for number in range(10):
        page.locator(".hud").get_by_role("button", name="4 stars").tap()
        expect(page.locator(".loupe img.current")).to_have_attribute("data-index", str(number + 1))
    of_next = [star.evaluate("star => getComputedStyle(star).color") for star in page.locator(".hud .star").all()]
    assert len(set(of_next)) == 1  # the one that was tapped does not shine on the next image
    keep_screen(page, "phone-loupe-tap")
    expect(page.locator("#saving")).to_be_hidden()
    assert ratings(root, run_ids) == [4] * 10


@pytest.mark.only_reads
def test_a_swipe_shows_the_next_image_and_one_down_closes(open_page):
    page = open_page("/?view=loupe", **PHONE)
    image = page.locator(".loupe img.current")
    expect(image).to_have_attribute("data-index", "0")
    touch(page, steps((300, 400), (90, 410)))
    expect(image).to_have_attribute("data-index", "1")
    touch(page, steps((100, 400), (300, 390)))
    expect(image).to_have_attribute("data-index", "0")
    touch(page, steps((200, 400), (192, 402)))
    touch(page, steps((10, 400), (300, 400)))  # the system's back gesture
    expect(image).to_have_attribute("data-index", "0")
    touch(page, steps((200, 200), (205, 480)))
    expect(page.locator(".loupe")).to_be_hidden()


@pytest.mark.only_reads
def test_two_fingers_zoom_and_one_moves(open_page):
    page = open_page("/?view=loupe", **PHONE)
    image = page.locator(".loupe img.current")
    expect(image).to_have_attribute("data-index", "0")
    before = image.bounding_box()["width"]
    session = page.context.new_cdp_session(page)
    for kind, apart in [
        ("touchStart", 40),
        *(("touchMove", 40 + 12 * step) for step in range(1, 11)),
        ("touchEnd", None),
    ]:
        points = [{"x": 195 - apart, "y": 400, "id": 1}, {"x": 195 + apart, "y": 400, "id": 2}] if apart else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    wait_for(lambda: image.bounding_box()["width"] > 2 * before)
    page.wait_for_timeout(150)
    zoomed = image.bounding_box()
    touch(page, steps((200, 400), (260, 440)))
    wait_for(lambda: image.bounding_box()["x"] > zoomed["x"])
    expect(image).to_have_attribute("data-index", "0")


@pytest.mark.only_reads
def test_a_long_press_selects_and_taps_then_add(open_page):
    page = open_page("/", **PHONE)
    expect(cell(page, 1).locator("img.there")).to_have_count(1)
    session = page.context.new_cdp_session(page)
    x, y = middle(cell(page, 1).bounding_box())
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    expect(selected(page)).to_have_count(1)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    cell(page, 2).tap()
    expect(selected(page)).to_have_count(2)
    expect(page.locator(".loupe")).to_be_hidden()


@pytest.mark.only_reads
def test_filters_and_screens_are_within_reach_of_the_thumb(open_page, keep_screen):
    page = open_page("/", **PHONE)
    expect(cell(page, 1).locator("img.there")).to_have_count(1)
    page.get_by_role("button", name="Filter").tap()
    expect(page.get_by_role("complementary", name="Filters")).to_be_visible()
    keep_screen(page, "phone-filter")
    page.get_by_role("complementary", name="Filters").get_by_role("button", name=re.compile("^7")).tap()
    expect(page).to_have_url(re.compile("cfg"))
    page.get_by_role("button", name="Filter").tap()
    page.get_by_role("button", name="More").tap()
    keep_screen(page, "phone-more")
    page.get_by_role("link", name="Insights").tap()
    expect(page).to_have_url(re.compile("/insights"))
