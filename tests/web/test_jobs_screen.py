"""Jobs, as people use them."""

import re
import shutil

import pytest

from stablenew.index.index_keeper import try_index_lock
from tests.web.browser import expect
from tests.web.conftest import GONE, watch
from tests.web.serving import Server, events_of, make_runs, wait_for


def rows(page):
    return page.locator(".row:not([hidden])")


def row(page, number):
    return page.locator(f'.row[aria-posinset="{number}"]')


def rating(page, number):
    return row(page, number).get_by_role("group")


@pytest.mark.only_reads
def test_a_row_says_what_a_person_wants_to_know(open_page, keep_screen):
    page = open_page("/jobs")
    expect(rows(page)).to_have_count(4)
    first = row(page, 1)
    expect(first).to_contain_text("a tea garden at dusk")
    expect(first).to_contain_text("3/3 variants")
    expect(first).to_contain_text("3 images")
    expect(first).to_contain_text("seed 7")
    expect(first.locator(".settings strong")).to_have_text("CFG scale 4, 7, 10")
    expect(first.locator(".settings")).to_contain_text("Euler a")
    expect(first.locator(".settings")).to_contain_text("Steps 12")
    expect(first).to_contain_text("Completed")
    expect(first.locator("img:not([hidden])")).to_have_count(3)
    expect(rating(page, 1)).to_have_attribute("aria-label", re.compile("not rated"))
    all_there = "() => [...document.querySelectorAll('.row img:not([hidden])')].every((one) => one.naturalWidth)"
    page.wait_for_function(all_there)
    keep_screen(page, "jobs")


@pytest.mark.only_reads
@pytest.mark.parametrize("width", [1440, 1024, 920, 800, 390])
def test_the_facts_of_a_row_overlap_at_no_width(open_page, width):
    page = open_page("/jobs", viewport={"width": width, "height": 800})
    expect(rows(page)).to_have_count(4)
    for name, text in ((".outputs", "104 images"), (".variants", "100/104 variants")):
        row(page, 1).locator(name).evaluate("(fact, text) => { fact.textContent = text; }", text)
    parts = row(page, 1).locator(".what, .variants, .outputs, .seed, .status, .stars").filter(visible=True)
    boxes = [part.bounding_box() for part in parts.all()]
    for place, a in enumerate(boxes):
        for b in boxes[place + 1 :]:
            is_beside = a["x"] + a["width"] <= b["x"] + 1 or b["x"] + b["width"] <= a["x"] + 1
            is_below = a["y"] + a["height"] <= b["y"] + 1 or b["y"] + b["height"] <= a["y"] + 1
            assert is_beside or is_below, (a, b)
    texts = "span => [span.scrollWidth, span.closest('.facts').getBoundingClientRect().width]"
    for fact in row(page, 1).locator(".facts > span").filter(visible=True).all():
        needed, room = fact.evaluate(texts)
        assert needed <= room + 1


def test_stars_are_clicked_and_still_there_after_a_restart(open_page, server, root, run_ids):
    page = open_page("/jobs")
    open_page.tolerated = GONE
    row(page, 2).get_by_role("button", name="4 stars").click()
    expect(rating(page, 2)).to_have_attribute("aria-label", re.compile("4 of 5"))
    expect(page.locator("#saving")).to_be_hidden()
    assert [event["rating"] for event in events_of(root, run_ids[1])] == [4]
    server.stop()
    server.restart()
    page.goto("/jobs")
    expect(rating(page, 2)).to_have_attribute("aria-label", re.compile("4 of 5"))
    row(page, 2).get_by_role("button", name="4 stars").click()
    expect(rating(page, 2)).to_have_attribute("aria-label", re.compile("not rated"))


def test_everything_works_by_keyboard(open_page, root, run_ids):
    page = open_page("/jobs")
    expect(rows(page)).to_have_count(4)
    for key in ("ArrowDown", "j", "k", "5"):
        page.keyboard.press(key)
    expect(rating(page, 2)).to_have_attribute("aria-label", re.compile("5 of 5"))
    page.keyboard.press("End")
    page.keyboard.press("0")
    expect(rating(page, 4)).to_have_attribute("aria-label", re.compile("0 of 5"))
    page.keyboard.press("Delete")
    expect(rating(page, 4)).to_have_attribute("aria-label", re.compile("not rated"))
    page.keyboard.press("z")
    expect(rating(page, 4)).to_have_attribute("aria-label", re.compile("0 of 5"))
    page.reload()
    expect(rows(page)).to_have_count(4)
    page.keyboard.press("z")
    expect(rating(page, 4)).to_have_attribute("aria-label", re.compile("not rated"))
    page.keyboard.press("Shift+Z")
    expect(rating(page, 4)).to_have_attribute("aria-label", re.compile("0 of 5"))
    expect(page.locator("#saving")).to_be_hidden()
    assert [event["op"] for event in events_of(root, run_ids[3])] == ["rate", "rate", "retract", "retract", "rate"]
    page.keyboard.press("PageUp")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/runs/{run_ids[0]}"))
    page.go_back()
    expect(rows(page)).to_have_count(4)
    page.keyboard.press("v")
    expect(page.locator(".cell:not([hidden])")).to_have_count(12)
    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(rows(page)).to_have_count(4)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("remove its rating")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.only_reads
def test_a_search_shows_chips_keeps_its_address_and_points_at_mistakes(open_page, keep_screen):
    page = open_page("/jobs")
    box = page.get_by_role("combobox", name="Search", exact=True)
    expect(box).to_be_visible()
    page.keyboard.press("/")
    expect(box).to_be_focused()
    page.keyboard.type('cfg:6..8 "mountain lake"')
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=cfg"))
    expect(page.locator(".chip")).to_have_count(2)
    page.reload()
    expect(rows(page)).to_have_count(1)
    page.locator(".chip").nth(1).click()
    expect(rows(page)).to_have_count(4)
    box.fill("cfg:much")
    expect(page.get_by_role("alert")).to_contain_text("expected a number")
    keep_screen(page, "jobs-mistake")
    expect(rows(page)).to_have_count(4)
    box.fill("nowhere")
    expect(page.get_by_text("No job matches this search")).to_be_visible()
    page.get_by_role("button", name="Show all jobs").click()
    expect(rows(page)).to_have_count(4)


@pytest.mark.only_reads
def test_fields_and_values_are_completed(open_page):
    page = open_page("/jobs")
    box = page.get_by_role("combobox", name="Search", exact=True)
    expect(page.locator(".facet")).not_to_have_count(0)
    box.click()
    page.keyboard.type("samp")
    expect(page.get_by_role("option", name="sampler:")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("option", name='sampler:"Euler a"')).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(box).to_have_value('sampler:"Euler a" ')
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(box).not_to_be_focused()


def test_facets_count_and_narrow_down(open_page, server, run_ids):
    page = open_page("/jobs")
    seven = page.locator(".facet", has_text="CFG scale").get_by_role("button").nth(1)
    expect(seven).to_have_text(re.compile(r"7\s*4"))
    seven.click()
    expect(page).to_have_url(re.compile("q=cfg%3A7"))
    expect(seven).to_have_attribute("aria-pressed", "true")
    seven.click()
    expect(page).not_to_have_url(re.compile("q="))
    server.run("rate", run_ids[0], "0/0", "5")
    expect(page.locator(".facet", has_text="Rating").get_by_role("button")).to_have_text([re.compile(r"★★★★★\s*1")])


def test_a_search_can_be_kept_under_a_name(open_page, server):
    page = open_page("/jobs?q=harbour")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Save search").click()
    page.get_by_label("Name").fill("Harbours")
    page.keyboard.press("Enter")
    views = page.get_by_label("Saved searches")
    expect(views.locator("option", has_text=re.compile("^Harbours$"))).to_have_count(1)
    page.goto("/jobs")
    expect(rows(page)).to_have_count(4)
    views.select_option("+Harbours")
    expect(rows(page)).to_have_count(1)
    views.select_option("-Harbours")
    expect(views.locator("option", has_text="Harbours")).to_have_count(0)


def test_jobs_can_be_ordered(open_page):
    page = open_page("/jobs")
    page.get_by_label("Order").select_option("oldest")
    expect(row(page, 1)).to_contain_text("a quiet harbour")
    expect(page).to_have_url(re.compile("sort=oldest"))
    page.get_by_label("Order").select_option("rating")
    expect(page).to_have_url(re.compile("sort=rating"))
    row(page, 3).get_by_role("button", name="5 stars").click()
    expect(page.locator("#saving")).to_be_hidden()

    def is_first():
        page.reload()
        return "5 of 5" in rating(page, 1).get_attribute("aria-label")

    wait_for(is_first)  # once the index knows of the stars


def test_a_new_job_arrives_by_itself(open_page, root):
    page = open_page("/jobs")
    expect(rows(page)).to_have_count(4)
    page.keyboard.press("ArrowDown")
    make_runs(root, ["a desert road at night"])
    expect(rows(page)).to_have_count(5)
    expect(row(page, 1)).to_contain_text("a desert road")
    expect(page.locator(".row.active")).to_contain_text("a mountain lake")
    expect(page.locator(".row:focus-within")).to_contain_text("a mountain lake")
    expect(page.locator(".total")).to_have_text("5 jobs")


def test_a_new_job_moves_nothing_under_the_eyes_of_who_has_scrolled(open_page, root, keep_screen):
    page = open_page("/jobs", viewport={"width": 1280, "height": 300})
    expect(rows(page)).not_to_have_count(0)
    page.locator(".viewport").hover()
    page.mouse.wheel(0, 100)
    page.wait_for_function("() => document.querySelector('.viewport').scrollTop === 100")
    before = row(page, 3).bounding_box()
    make_runs(root, ["a desert road at night", "a copper kettle"])
    pill = page.get_by_role("button", name="2 new")
    expect(pill).to_be_visible()
    keep_screen(page, "jobs-pill")
    assert row(page, 3).bounding_box() == before
    page.keyboard.press("n")
    expect(row(page, 1)).to_contain_text("a copper kettle")
    expect(pill).to_be_hidden()


def test_a_job_that_fits_a_search_arrives_too(open_page, root):
    page = open_page("/jobs?q=harbour")
    expect(rows(page)).to_have_count(1)
    make_runs(root, ["a desert road", "a harbour at night"])
    expect(rows(page)).to_have_count(2)
    expect(row(page, 1)).to_contain_text("a harbour at night")


def test_a_rating_from_elsewhere_shows(open_page, server, run_ids):
    page = open_page("/jobs")
    expect(rows(page)).to_have_count(4)
    server.run("rate", run_ids[2], "3")
    expect(rating(page, 3)).to_have_attribute("aria-label", re.compile("3 of 5"))


def test_a_click_on_a_star_that_somebody_else_gave_is_agreement(open_page, server, root, run_ids):
    server.run("rate", run_ids[0], "4", "--rater", "bob")
    page = open_page("/jobs")
    expect(rating(page, 1)).to_have_attribute("aria-label", re.compile("4 of 5"))
    row(page, 1).get_by_role("button", name="4 stars").click()
    said = [("bob", 4), ("me", 4)]
    for expected in (said, [*said, ("me", None)]):
        page.wait_for_function("() => document.getElementById('saving').hidden")
        wait_for(lambda expected=expected: len(events_of(root, run_ids[0])) == len(expected))
        events = events_of(root, run_ids[0])
        assert [("bob" if one["rater"] == "bob" else "me", one["rating"]) for one in events] == expected
        row(page, 1).get_by_role("button", name="4 stars").click()


def test_a_removed_run_goes(open_page, root, run_ids):
    page = open_page("/jobs")
    expect(rows(page)).to_have_count(4)
    shutil.rmtree(root / run_ids[1])
    expect(rows(page)).to_have_count(3)


@pytest.mark.only_reads
def test_a_row_shows_the_image_that_fits_the_search(open_page):
    page = open_page("/jobs?q=cfg:10")
    expect(rows(page)).to_have_count(4)
    expect(row(page, 1).locator("img:not([hidden])")).to_have_count(1)
    source = row(page, 1).locator("img").first.get_attribute("src")
    (image,) = page.request.get("/api/images/rows?ids=" + str(newest_with_cfg_10(page))).json()["images"]
    assert image["digest"][7:] in source


def newest_with_cfg_10(page):
    data = page.request.get("/api/images/snapshot?query=cfg:10&limit=1").body()
    return int.from_bytes(data[16:20], "little")


@pytest.mark.only_reads
def test_a_million_rows_scroll_as_one_list(open_page):
    page = open_page("/jobs")
    page.evaluate(
        """async () => {
          const { VirtualList } = await import("/static/js/parts/lists/virtual_list.js");
          const viewport = document.createElement("div"), layer = document.createElement("div");
          viewport.className = "viewport"; viewport.id = "long"; layer.className = "rows";
          viewport.style.position = "fixed"; viewport.style.inset = "0"; viewport.style.zIndex = "50";
          viewport.append(layer); document.body.append(viewport);
          window.long = new VirtualList(viewport, layer, { itemHeight: () => 40, create: () => {
            const node = document.createElement("div"); node.className = "row"; return node; },
            show: (node, index) => { node.textContent = String(index); } });
          window.long.setCount(1_000_000);
        }"""
    )
    shown = """() => [...document.querySelectorAll("#long .row:not([hidden])")].filter((one) => {
      const box = one.getBoundingClientRect(); return box.bottom > 0 && box.top < innerHeight;
    }).map((one) => Number(one.textContent)).sort((a, b) => a - b)"""
    assert page.evaluate("() => document.querySelector('#long .spacer').offsetHeight") <= 8_000_000
    assert page.evaluate(shown)[0] == 0
    page.evaluate("() => window.long.reveal(999_999)")
    assert page.evaluate(shown)[-1] == 999_999
    page.evaluate("() => window.long.reveal(500_000)")
    top = page.evaluate("() => window.long.top")
    page.mouse.move(300, 300)
    for _ in range(10):
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(30)
    wait_for(lambda: page.evaluate("() => window.long.top") == top + 1000)
    page.wait_for_timeout(250)
    page.evaluate("() => { document.getElementById('long').scrollTop = 1e9; }")
    wait_for(lambda: page.evaluate(shown)[-1:] == [999_999])
    page.evaluate("() => { document.getElementById('long').scrollTop = 4_000_000; }")
    page.wait_for_timeout(300)
    wait_for(lambda: 490_000 < page.evaluate(shown)[0] < 510_000)
    assert len(page.evaluate(shown)) < 30


def test_an_empty_store_says_how_to_begin(new_context, tmp_path, keep_screen):
    server = Server(tmp_path / "nothing", tmp_path / "machine").start()
    page = new_context().new_page()
    bad = watch(page)
    page.goto(server.link)
    expect(page.get_by_role("heading", name="Where are your images?")).to_be_visible()
    page.get_by_role("link", name="Wall").first.click()
    expect(page.get_by_role("heading", name="No images yet")).to_be_visible()
    expect(page.get_by_text("stablenew demo")).to_be_visible()
    keep_screen(page, "wall-empty")
    page.get_by_role("main").get_by_role("link", name="New run").click()
    expect(page.get_by_role("heading", name="New run")).to_be_visible()
    page.goto(f"{server.origin}/jobs")
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    server.stop()
    assert not bad


def test_an_index_that_is_still_filled_says_so_and_the_page_follows(new_context, root, tmp_path, monkeypatch):
    server = Server(root, tmp_path / "machine")
    monkeypatch.setenv("STABLENEW_STATE_DIR", server.environment["STABLENEW_STATE_DIR"])
    lock = try_index_lock(root)  # as if another process had just begun to fill it
    server.start()
    page = new_context().new_page()
    bad = watch(page)
    page.goto(server.link)
    expect(page.locator("#banner")).to_contain_text("Reading the run folders: 0 runs so far")
    expect(page.get_by_text("Images appear here as they are found")).to_be_visible()
    lock.release()
    expect(page.locator(".cell:not([hidden])")).to_have_count(12)
    expect(page.locator("#banner")).to_be_hidden()
    server.stop()
    assert not bad
