"""The wall: every key, on images of a real store."""

import json
import re
import shutil

import pytest

from tests.web.browser import expect
from tests.web.conftest import GONE, PROMPTS
from tests.web.serving import events_of, make_runs, wait_for


def cells(page):
    return page.locator(".cell:not([hidden])")


def cell(page, number):
    return page.locator(f'.cell[aria-posinset="{number}"]')


def marks(page, number):
    return cell(page, number).locator(".marks")


def cursor(page):
    return page.locator(".cell.cursor")


def at(page, number):
    expect(cursor(page)).to_have_attribute("aria-posinset", str(number))


def saved(page):
    expect(page.locator("#saving")).to_be_hidden()


def opinions(root, run_id):
    """What the feedback file says of the images, by rater and all at once."""
    state = json.loads((root / run_id / "feedback.json").read_bytes())["state"]
    return [opinion for raters in state["images"].values() for opinion in raters.values()]


@pytest.fixture
def page(open_page):
    opened = open_page("/")
    expect(cells(opened)).to_have_count(12)
    expect(opened.locator(".cell img.there")).to_have_count(12)
    return opened


def test_digits_rate_and_go_on(page, root, run_ids):
    for number, key in enumerate("012345", 1):
        page.keyboard.press(key)
        at(page, number + 1)
    expect(marks(page, 1)).to_have_text("0")
    expect(marks(page, 6)).to_have_text("★★★★★")
    expect(page.locator(".counts")).to_have_text("12 images · 6 unrated")
    expect(page.locator(".pace")).to_have_text(re.compile(r"^\d+ a minute$"))
    saved(page)
    ratings = [event["rating"] for run_id in run_ids[:2] for event in events_of(root, run_id)]
    assert ratings == [0, 1, 2, 3, 4, 5]


@pytest.mark.only_reads
def test_moving_by_arrows_and_letters(page):
    at(page, 1)
    for key, place in [("ArrowRight", 2), ("l", 3), ("h", 2), ("ArrowLeft", 1), ("End", 12), ("Home", 1)]:
        page.keyboard.press(key)
        at(page, place)
    page.keyboard.press("j")
    expect(cursor(page)).not_to_have_attribute("aria-posinset", "1")
    below = int(cursor(page).get_attribute("aria-posinset"))
    assert below > 2
    page.keyboard.press("ArrowUp")
    at(page, 1)
    page.keyboard.press("ArrowDown")
    at(page, below)
    page.keyboard.press("k")
    at(page, 1)
    page.keyboard.press("PageDown")
    wait_for(lambda: int(cursor(page).get_attribute("aria-posinset")) > below)
    page.keyboard.press("PageUp")
    at(page, 1)
    expect(page.get_by_role("listbox", name="Images")).to_have_attribute("aria-activedescendant", "cell-0")


def test_flags_and_colours(page, root, run_ids):
    page.keyboard.press("p")
    expect(cell(page, 1).locator(".flag.pick")).to_be_visible()
    page.keyboard.press("P")
    expect(cell(page, 1).locator(".flag")).to_have_count(0)
    for key, colour in [("6", "red"), ("7", "yellow"), ("8", "green"), ("9", "blue")]:
        page.keyboard.press(key)
        expect(marks(page, 1).locator(".dot")).to_have_attribute("data-colour", colour)
    saved(page)
    assert opinions(root, run_ids[0]) == [{"tags": ["label:blue"]}]
    page.keyboard.press("9")
    expect(marks(page, 1).locator(".dot")).to_have_count(0)
    at(page, 1)


def test_tags_and_notes(page, root, run_ids):
    page.keyboard.press("t")
    page.keyboard.type("keeper, soft light")  # at once: nothing of it may be taken for a command
    page.keyboard.press("Enter")
    expect(marks(page, 1)).to_have_text("#2")
    page.keyboard.press("t")
    page.get_by_label("Tags, separated by commas").fill("soft light")
    page.keyboard.press("Enter")
    expect(marks(page, 1)).to_have_text("#1")
    page.keyboard.press("n")
    page.get_by_label("Note about this image").fill("good sky\nbad pier")
    page.keyboard.press("Control+Enter")
    expect(marks(page, 1)).to_have_text("#1✎")
    page.keyboard.press("n")
    page.keyboard.press("Escape")
    saved(page)
    (opinion,) = opinions(root, run_ids[0])
    assert (opinion["tags"], opinion["notes"][0]["text"]) == (["soft light"], "good sky\nbad pier")


def test_undo_and_redo_survive_a_reload(page, root, run_ids):
    page.keyboard.press("4")
    page.keyboard.press("2")
    saved(page)
    page.reload()
    expect(marks(page, 2)).to_have_text("★★")
    page.keyboard.press("z")
    expect(marks(page, 2)).to_have_text("")
    page.keyboard.press("z")
    expect(marks(page, 1)).to_have_text("")
    expect(page.locator(".counts")).to_have_text("12 images · 12 unrated")
    page.reload()
    expect(cells(page)).to_have_count(12)
    expect(page.locator(".cell img.there")).to_have_count(12)
    page.keyboard.press("Shift+Z")
    expect(marks(page, 1)).to_have_text("★★★★")
    page.keyboard.press("Shift+Z")
    expect(marks(page, 2)).to_have_text("★★")
    page.keyboard.press("Shift+Z")
    expect(page.get_by_text("Nothing to redo")).to_be_visible()
    saved(page)
    assert sorted(opinion["rating"] for opinion in opinions(root, run_ids[0])) == [2, 4]


def test_several_images_are_rated_at_once(page, root, run_ids, keep_screen):
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator('.cell[aria-selected="true"]')).to_have_count(4)
    keep_screen(page, "wall-selected")
    page.keyboard.press("3")
    for number in (1, 2, 3, 4):
        expect(marks(page, number)).to_have_text("★★★")
    at(page, 4)
    saved(page)
    assert [len(opinions(root, run_id)) for run_id in run_ids[:2]] == [3, 1]
    assert len({event["act"] for run_id in run_ids[:2] for event in events_of(root, run_id)}) == 1
    page.keyboard.press("z")
    for number in (1, 2, 3, 4):
        expect(marks(page, number)).to_have_text("")
    page.keyboard.press("Escape")
    expect(page.locator('.cell[aria-selected="true"]')).to_have_count(0)
    cell(page, 6).click()
    cell(page, 8).click(modifiers=["Shift"])
    expect(page.locator('.cell[aria-selected="true"]')).to_have_count(3)
    cell(page, 7).click(modifiers=["Control"])
    expect(page.locator('.cell[aria-selected="true"]')).to_have_count(2)
    page.keyboard.press("x")
    expect(page.locator(".counts")).to_contain_text("10 images")
    page.keyboard.press("Control+a")
    expect(page.locator('.cell[aria-selected="true"]:not([hidden])')).to_have_count(10)


def test_what_others_gave_an_image_is_shown(open_page, server, run_ids):
    server.run("rate", run_ids[0], "0/0", "3", "--rater", "bob")
    page = open_page("/")
    shown = page.locator(".cell", has=page.locator(".rating.others"))
    expect(shown).to_have_count(1)
    expect(shown).to_have_attribute("aria-label", re.compile("others: 3 stars"))
    expect(page.locator(".counts")).to_contain_text("11 unrated")
    place = int(shown.get_attribute("aria-posinset"))
    page.keyboard.press("Home")
    for _ in range(place - 1):
        page.keyboard.press("]")
    at(page, place if place == 1 else place + 1)


def test_going_on_can_be_turned_off(page):
    page.keyboard.press("a")
    expect(page.get_by_label("Advance after rating")).not_to_be_checked()
    page.keyboard.press("3")
    at(page, 1)
    expect(marks(page, 1)).to_have_text("★★★")
    page.keyboard.press("-")
    expect(marks(page, 1)).to_have_text("")
    page.reload()
    expect(page.get_by_label("Advance after rating")).not_to_be_checked()
    page.get_by_label("Advance after rating").check()
    page.keyboard.press("CapsLock")
    page.keyboard.press("2")
    at(page, 2)


def test_the_next_unrated_image_is_found(page):
    for key in "43":
        page.keyboard.press(key)
    page.keyboard.press("Home")
    page.keyboard.press("]")
    at(page, 3)
    page.keyboard.press("End")
    page.keyboard.press("]")
    expect(page.get_by_text("No unrated image after this one")).to_be_visible()


def test_images_that_arrive_are_shown_at_the_top_and_keys_stay_with_their_image(page, root):
    make_runs(root, ["a desert road"])
    expect(cells(page)).to_have_count(13)
    expect(page.locator(".counts")).to_have_text("13 images · 13 unrated")
    expect(cell(page, 1)).to_have_attribute("aria-label", re.compile("a desert road"))
    at(page, 2)


def test_what_arrives_moves_nothing_under_the_eyes_of_who_is_at_work(page, root, keep_screen):
    page.keyboard.press("ArrowRight")
    source = cell(page, 2).locator("img.there").get_attribute("src")
    make_runs(root, ["a desert road", "a copper kettle"])
    pill = page.get_by_role("button", name="2 new")
    expect(pill).to_be_visible()
    keep_screen(page, "wall-pill")
    expect(cell(page, 2).locator("img")).to_have_attribute("src", source)
    pill.click()
    expect(cell(page, 1)).to_have_attribute("aria-label", re.compile("a copper kettle"))
    expect(pill).to_be_hidden()


def test_a_rating_from_elsewhere_shows(page, server, run_ids):
    server.run("rate", run_ids[0], "2/0", "4", "--rater", "bob")
    expect(page.locator(".rating.others")).to_have_text("★★★★")


@pytest.mark.only_reads
def test_a_search_narrows_the_wall_and_follows_to_the_jobs(open_page):
    page = open_page("/?q=lighthouse")
    expect(cells(page)).to_have_count(3)
    page.keyboard.press("/")
    page.keyboard.press("Control+a")
    page.keyboard.type("harbour")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=harbour"))
    expect(page.locator(".counts")).to_contain_text("3 images")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox", name="Images")).to_be_focused()
    page.get_by_role("link", name="Jobs").first.click()
    expect(page).to_have_url(re.compile(r"/jobs\?q=harbour"))
    expect(page.locator(".row:not([hidden])")).to_have_count(1)
    page.get_by_role("link", name="Wall").first.click()
    expect(cells(page)).to_have_count(3)


@pytest.mark.only_reads
def test_one_step_back_leads_to_what_was_found_before(page):
    page.locator(".facet").get_by_role("button", name=re.compile("^7 ")).first.click()
    expect(page.locator(".counts")).to_contain_text("4 images")
    page.keyboard.press("/")
    page.keyboard.press("End")
    page.keyboard.type(" harb")
    expect(page.locator(".counts")).to_contain_text("0 images")
    page.keyboard.type("our")
    expect(page).to_have_url(re.compile("harbour"))
    page.go_back()  # of all that was typed at once
    expect(page.locator(".counts")).to_contain_text("4 images")
    page.go_back()
    expect(page.locator(".counts")).to_contain_text("12 images")


@pytest.mark.only_reads
def test_escape_never_leaves_the_wall(page):
    page.keyboard.press("ArrowRight")
    for _ in range(3):
        page.keyboard.press("Escape")
    assert page.url.partition("?")[0].endswith("/")
    expect(cells(page)).to_have_count(12)


def test_rejected_images_are_hidden_by_a_chip_that_one_click_removes(page):
    first, second = (cell(page, number).locator("img.there").get_attribute("src") for number in (1, 2))
    page.keyboard.press("x")
    expect(page.locator(".counts")).to_have_text("11 images · 11 unrated")
    expect(cell(page, 1).locator("img")).to_have_attribute("src", second)
    page.keyboard.press("z")
    expect(page.locator(".counts")).to_have_text("12 images · 12 unrated")
    expect(cell(page, 1).locator("img")).to_have_attribute("src", first)
    at(page, 1)
    page.keyboard.press("x")
    expect(page.locator("#saving")).to_be_hidden()
    expect(page.get_by_role("button", name=re.compile(r"Rejected\s*1"))).to_be_visible()
    page.reload()
    expect(cells(page)).to_have_count(11)
    page.get_by_role("button", name="Remove -flag:reject").click()
    expect(cells(page)).to_have_count(12)
    expect(page.locator(".cell.rejected")).to_have_count(1)
    page.get_by_role("button", name=re.compile(r"Rejected\s*1")).click()
    expect(cells(page)).to_have_count(1)


def test_a_key_after_an_undo_counts_though_the_server_is_behind(page):
    page.keyboard.press("x")
    expect(page.locator(".counts")).to_have_text("11 images · 11 unrated")
    expect(page.get_by_role("button", name=re.compile(r"Rejected\s*1"))).to_be_visible()
    held = []
    page.route("**/api/undo", lambda route: held.append(route))  # noqa: PLW0108
    with page.expect_response(lambda answer: "/api/images/rows" in answer.url):
        page.keyboard.press("z")
    expect(cell(page, 1)).not_to_have_class(re.compile("rejected"))
    page.keyboard.press("x")
    expect(page.locator(".counts")).to_have_text("11 images · 11 unrated")
    held[0].continue_()
    expect(page.locator("#saving")).to_be_hidden()
    page.reload()
    expect(cells(page)).to_have_count(11)


def test_an_image_goes_to_the_trash_and_comes_back(page, root, run_ids):
    page.keyboard.press("Backspace")
    expect(page.locator(".counts")).to_contain_text("11 images")
    saved(page)
    assert [event["op"] for event in events_of(root, run_ids[0])] == ["trash"]
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".counts")).to_contain_text("12 images")
    expect(page.locator(".cell.trashed")).to_have_count(0)
    with page.expect_response(lambda answer: "snapshot" in answer.url and "trashed" not in answer.url):
        page.get_by_role("button", name="Remove -is:trashed").click()
    page.keyboard.press("Backspace")
    expect(page.locator(".cell.trashed")).to_have_count(1)
    page.keyboard.press("Backspace")
    expect(page.locator(".cell.trashed")).to_have_count(0)
    saved(page)
    assert opinions(root, run_ids[0]) in ([], [{}])


@pytest.mark.only_reads
def test_the_wall_is_sorted_and_grouped(open_page, keep_screen):
    page = open_page("/")
    page.get_by_label("Sort").select_option("oldest")
    expect(cell(page, 1)).to_have_attribute("aria-label", re.compile("a quiet harbour"))
    expect(page).to_have_url(re.compile("sort=oldest"))
    page.get_by_label("Group").select_option("prompt")
    expect(page.locator(".wall-heading:not([hidden]) strong")).to_have_text(PROMPTS)
    expect(page.locator(".wall-heading:not([hidden])").first).to_contain_text("3 images · 3 unrated")
    keep_screen(page, "wall-grouped")
    page.reload()
    expect(page.locator(".wall-heading:not([hidden])")).to_have_count(4)
    page.get_by_label("Group").select_option("day")
    expect(page.locator(".wall-heading:not([hidden]) strong")).to_have_text(["Today"])


@pytest.mark.only_reads
def test_rows_fill_the_width_at_any_size_and_nothing_is_cropped(page):
    boxes = """() => [...document.querySelectorAll(".cell:not([hidden])")].map((one) => {
      const box = one.getBoundingClientRect(), picture = one.querySelector("img");
      const natural = picture.naturalWidth / picture.naturalHeight;
      return [Math.round(box.top), box.left, box.right, box.width / box.height, natural];
    })"""
    right = page.locator(".viewport").bounding_box()
    edge = right["x"] + page.locator(".viewport").evaluate("(one) => one.clientWidth")
    for height in (120, 260, 420):
        page.locator("#size").fill(str(height))
        page.wait_for_timeout(400)
        found = page.evaluate(boxes)
        rows = {top: [box for box in found if box[0] == top] for top, *_ in found}
        for row in list(rows.values())[:-1]:
            assert abs(max(box[2] for box in row) - edge) <= 5
        for _, _, _, shown, natural in found:
            assert abs(shown - natural) < 0.02
    page.reload()
    expect(page.locator("#size")).to_have_value("420")


def test_a_server_killed_in_the_middle_loses_no_rating_and_doubles_none(open_page, server, root, run_ids):
    """300 ratings as fast as keys can be pressed; the server dies twice, without warning."""
    page = open_page("/?view=loupe")
    open_page.tolerated = GONE
    expect(page.locator(".loupe img.current")).to_have_attribute("data-index", "0")
    for number in range(300):
        if number in (100, 200):
            server.kill()
            page.keyboard.press(str(number % 6))
            expect(page.locator("#saving")).to_contain_text("waiting for the server")
        else:
            page.keyboard.press(str(number % 6))
        if number in (130, 215):
            server.restart()
        if number % 12 == 11:
            page.keyboard.press("Home")
    expect(page.locator("#saving")).to_be_hidden(timeout=30_000)
    events = [event for run_id in run_ids for event in events_of(root, run_id)]
    assert len(events) == 300
    assert len({event["act"] for event in events}) == 300
    for place, run_id in enumerate(run_ids):  # three images each; after twelve it began anew
        pressed = [number % 6 for number in range(300) if number % 12 // 3 == place]
        assert [event["rating"] for event in events_of(root, run_id)] == pressed


def test_what_was_not_saved_is_saved_by_the_next_page(open_page, server, root, run_ids):
    page = open_page("/")
    open_page.tolerated = GONE
    expect(page.locator(".cell img.there")).to_have_count(12)
    server.kill()
    page.keyboard.press("5")
    page.keyboard.press("4")
    expect(page.locator("#saving")).to_have_text(re.compile("2 unsaved: waiting for the server"))
    context = page.context
    page.close()
    server.restart()
    other = context.new_page()
    other.goto("/")
    expect(marks(other, 1)).to_have_text("★★★★★")
    saved(other)
    assert [event["rating"] for event in events_of(root, run_ids[0])] == [5, 4]


def test_a_browser_without_room_loses_nothing_either(open_page, server, root, run_ids):
    page = open_page("/")
    open_page.tolerated = GONE
    expect(page.locator(".cell img.there")).to_have_count(12)
    page.keyboard.press("4")
    saved(page)
    page.evaluate(
        """() => {
          let text = "x".repeat(1 << 20);
          for (let number = 0; text; number += 1) {
            try { localStorage.setItem(`filler-${number}`, text); } catch { text = text.slice(text.length >> 1 || 1); }
          }
        }"""
    )
    server.kill()
    page.keyboard.press("5")
    page.keyboard.press("3")
    expect(page.locator("#saving")).to_contain_text("2 unsaved")
    server.restart()
    saved(page)
    assert [event["rating"] for event in events_of(root, run_ids[0])] == [4, 5, 3]
    page.keyboard.press("z")
    expect(marks(page, 3)).to_have_text("")


def test_what_the_server_refuses_is_said(open_page, server, root, run_ids):
    page = open_page("/")
    open_page.tolerated = GONE
    expect(page.locator(".cell img.there")).to_have_count(12)
    server.kill()
    page.keyboard.press("5")
    expect(page.locator("#saving")).to_contain_text("1 unsaved")
    shutil.rmtree(root / run_ids[0])
    server.restart()
    expect(page.locator("#saving")).to_contain_text("1 rating refused: no run")
    page.locator("#saving").click()
    saved(page)


def test_rows_are_asked_for_in_blocks_and_before_they_come_into_view(open_page, root):
    make_runs(root, ["a volcano"], values=[1 + number / 10 for number in range(200)], size=64)
    page = open_page("/?q=volcano", viewport={"width": 1000, "height": 600})
    expect(page.locator(".counts")).to_have_text(re.compile("^200 images"))
    expect(page.locator(".cell img.there").first).to_be_visible()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/api/images/rows" in request.url else None)
    page.mouse.move(600, 300)
    last = page.locator('.cell[aria-posinset="200"]')
    for _ in range(400):
        page.mouse.wheel(0, 120)
        if last.count():
            break
    expect(last).to_have_attribute("aria-label", re.compile("not rated"))
    assert len(asked) <= 200 // 48 + 3, asked
