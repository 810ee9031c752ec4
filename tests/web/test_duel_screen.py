"""Duels in a real browser: blind, by keys, mouse and touch, and nothing is lost when the server dies."""

import re

import pytest

from stablenew import RunStore
from stablenew.store.feedback.feedback_log import FeedbackLog
from tests.profiles import by_profile
from tests.web.browser import PlaywrightTimeout, expect
from tests.web.conftest import GONE
from tests.web.serving import make_runs, wait_for

ADDRESS = "/duel?by=cfg"


def votes_in(root):
    """Every vote in the store, by its act."""
    readings = [FeedbackLog(run.path).read() for run in RunStore(root).iter_runs()]
    return [event for reading in readings for event in reading.build_document().events if event.op == "prefer"]


def standing(root):
    documents = [FeedbackLog(run.path).read().build_document() for run in RunStore(root).iter_runs()]
    return [preference for document in documents for preference in document.state.preferences]


def wait_for_pair(page, other_than=None):
    """The two pictures on the screen, once they can be voted on."""
    expect(page.get_by_role("button", name="Tie")).to_be_enabled()
    return page.locator(".duel-stage img").evaluate_all("pictures => pictures.map((picture) => picture.src)")


def vote(page, key, root, count):
    wait_for_pair(page)
    page.keyboard.press(key)
    wait_for(lambda: len(standing(root)) == count)


def test_a_setting_is_chosen_and_two_pictures_are_shown_that_say_nothing(open_page, keep_screen):
    page = open_page("/duel")
    page.get_by_role("link", name=re.compile("CFG scale")).click()
    expect(page).to_have_url(re.compile(r"by=cfg"))
    left, right = wait_for_pair(page)
    assert left != right
    shown = page.get_by_role("region", name="Duel").inner_text()
    assert not re.search(r"\b(4|7|10)\b", shown)
    keep_screen(page, "duel")


def test_keys_mouse_and_touch_vote_and_undo_takes_back(open_page, root):
    page = open_page(ADDRESS)
    for count, key in enumerate(["ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp"], 1):
        vote(page, key, root, count)
    assert sorted(vote.outcome for vote in standing(root)) == ["both_bad", "tie", "win", "win"]
    wait_for_pair(page)
    page.get_by_role("button", name="Left is better").click()
    wait_for(lambda: len(standing(root)) == 5)
    pair = wait_for_pair(page)
    page.get_by_alt_text("The picture on the right").click()
    wait_for(lambda: len(standing(root)) == 6)
    assert wait_for_pair(page) != pair
    page.keyboard.press("z")
    wait_for(lambda: len(standing(root)) == 5)
    assert wait_for_pair(page) == pair
    events = votes_in(root)
    assert {event.asked for event in events} == {"duel: cfg_scale"}
    assert {event.shown for event in events} == {"left", "right"}


def test_a_finger_votes_on_a_small_screen(open_page, root, keep_screen):
    page = open_page(ADDRESS, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    wait_for_pair(page)
    page.get_by_role("button", name="Lower is better").tap()
    wait_for(lambda: len(standing(root)) == 1)
    wait_for_pair(page)
    keep_screen(page, "duel-phone")
    pictures = page.locator(".duel-stage").bounding_box()
    assert pictures["height"] > 0.6 * 844


def test_the_result_comes_by_itself_and_can_be_gone_beyond(open_page, root, server, keep_screen):
    page = open_page(ADDRESS)
    first = page.url
    for count in range(1, 80):
        expect(page.locator(".duel-result, .answers button:enabled").first).to_be_visible()
        if page.locator(".duel-result").count():
            break
        sources = wait_for_pair(page)
        seeds = [cfg_of(root, source) for source in sources]
        page.keyboard.press("ArrowLeft" if seeds[0] > seeds[1] else "ArrowRight")
        wait_for(lambda count=count: len(standing(root)) == count)
        page.wait_for_timeout(50)
    expect(page.locator(".duel-result h1")).to_have_text(re.compile("is better|Not decided"))
    expect(page.get_by_role("table")).to_contain_text("4 against 7")
    expect(page.get_by_role("heading", name="CFG scale, by how often it wins")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    name = page.get_by_role("rowheader", name="4 against 7")
    expect(name).to_be_visible()
    assert name.bounding_box()["width"] > 80  # words, not a letter a line
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(page.get_by_role("listitem").first).to_contain_text("10")
    keep_screen(page, "duel-result")
    assert first.endswith("by=cfg")


def cfg_of(root, source):
    digest = source.rpartition("/")[2]
    for run in RunStore(root).iter_runs():
        for record, output in run.iter_outputs():
            if output.digest.endswith(digest):
                return record.actual.cfg_scale
    raise AssertionError(source)


HAS_PAIR = "() => document.querySelector('.answers button')?.disabled === false"


VOTES = by_profile(few=90, quick=120, ci=120, nightly=300)


@pytest.mark.heavy
def test_votes_typed_while_the_server_is_killed_twice_are_there_once(open_page, root, server):
    """Typing goes on while the server is away, as long as there are pairs; more come when it is back."""
    make_runs(root, [f"a lake at {hour} o'clock" for hour in range(12)], values=range(3, 11), size=64)
    open_page.tolerated = GONE
    page = open_page("/jobs")
    expect(page.locator(".total")).to_have_text("16 jobs")
    page.goto("/duel?by=cfg&matters=0.01")
    typed = 0

    def type_votes(count, most_milliseconds=60_000):
        nonlocal typed
        for _ in range(count):
            page.wait_for_function(HAS_PAIR, timeout=most_milliseconds)
            page.keyboard.press(["ArrowLeft", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowRight"][typed % 5])
            typed += 1

    for target in (VOTES // 3, VOTES // 3 * 2):
        type_votes(target - typed)
        server.kill()
        with pytest.raises(PlaywrightTimeout):
            type_votes(20, most_milliseconds=1500)
        assert typed > target, "nothing could be typed without the server"
        server.restart()
    type_votes(VOTES - typed)
    expect(page.locator("#saving")).to_be_hidden(timeout=120_000)
    events = votes_in(root)
    assert len(events) == VOTES
    assert len({event.act for event in events}) == VOTES
