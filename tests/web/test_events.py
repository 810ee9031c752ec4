"""What happens shows on every open tab, by one connection for all of them."""

from tests.web.browser import expect
from tests.web.conftest import GONE
from tests.web.serving import make_runs


def rows(page):
    return page.locator(".row:not([hidden])")


def test_eight_tabs_share_one_stream_and_hand_it_over(open_page, root):
    first = open_page("/jobs")
    context = first.context
    streams = []
    expect(rows(first)).to_have_count(4)
    others = [context.new_page() for _ in range(7)]
    for page in others:
        page.on("request", lambda request: streams.append(request.url) if "/api/live" in request.url else None)
        page.goto("/jobs")
        expect(rows(page)).to_have_count(4)
    assert not streams
    make_runs(root, ["a desert road"])
    for page in [first, *others]:
        expect(rows(page)).to_have_count(5)
    first.close()
    others[3].wait_for_function("() => navigator.locks.query().then((all) => all.held.length === 1)")
    make_runs(root, ["a copper kettle"])
    for page in others:
        expect(rows(page)).to_have_count(6)
    assert len(streams) == 1


def test_a_server_that_comes_back_is_caught_up_with(open_page, server, root):
    page = open_page("/jobs")
    open_page.tolerated = GONE
    expect(rows(page)).to_have_count(4)
    server.kill()
    expect(page.get_by_text("Server not reachable")).to_be_visible()
    make_runs(root, ["a desert road"])
    server.restart()
    expect(page.get_by_text("Server not reachable")).to_be_hidden()
    expect(rows(page)).to_have_count(5)


def test_a_screen_that_was_opened_without_a_server_is_there_when_it_is_back(open_page, server):
    open_page.tolerated = GONE
    page = open_page("/")
    expect(page.locator(".cell img.there").first).to_be_visible()
    server.kill()
    expect(page.get_by_text("Server not reachable")).to_be_visible()
    page.keyboard.press("4")
    page.get_by_role("link", name="Health").first.click()
    expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()
    server.restart()
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    expect(page.locator("#saving")).to_be_hidden()
