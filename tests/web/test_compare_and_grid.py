"""Comparing images side by side and in grids, in a real browser."""

import csv
import io
import json
import re

import pytest

from stablenew import RunStore
from stablenew.store.feedback.feedback_log import FeedbackLog
from tests.web.browser import expect
from tests.web.serving import make_runs, wait_for


def digests_of(root, count):
    outputs = [output.digest for run in RunStore(root).iter_runs() for _, output in run.iter_outputs()]
    return outputs[:count]


def compare_address(root, count):
    return "/compare?q=digest:" + ",".join(digest[7:23] for digest in digests_of(root, count))


def ratings_in(root):
    documents = [FeedbackLog(run.path).read().build_document() for run in RunStore(root).iter_runs()]
    return {
        image: opinion.rating
        for document in documents
        for image, opinions in document.state.images.items()
        for opinion in opinions.values()
    }


def transforms(page):
    return page.locator(".pane img").evaluate_all("pictures => pictures.map((picture) => picture.style.transform)")


def test_only_what_differs_is_in_the_table_and_pictures_move_in_step(open_page, root, keep_screen):
    page = open_page(compare_address(root, 2))
    table = page.get_by_role("region", name="What differs").get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table.get_by_role("row").last).to_have_text(re.compile("CFG scale"))
    keep_screen(page, "compare")
    before = transforms(page)
    pane = page.locator(".pane").first
    box = pane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -600)
    page.wait_for_function("(before) => document.querySelector('.pane img').style.transform !== before", arg=before[0])
    after = transforms(page)
    assert len(set(after)) == 1
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2 + 10)
    page.mouse.up()
    page.wait_for_function("(before) => document.querySelector('.pane img').style.transform !== before", arg=after[0])
    moved = transforms(page)
    assert len(set(moved)) == 1
    page.keyboard.press(".")
    page.wait_for_function("(before) => document.querySelector('.pane img').style.transform === before", arg=before[0])


@pytest.mark.parametrize("width", [1440, 390])
def test_what_differs_stands_under_the_pictures(open_page, root, width):
    page = open_page(compare_address(root, 4))
    page.set_viewport_size({"width": width, "height": 844})
    expect(page.locator(".pane")).to_have_count(4)
    cells = page.get_by_role("region", name="What differs").get_by_role("row").last.get_by_role("cell")
    expect(cells).to_have_count(4)
    expect(page.locator(".compare.wrapped")).to_have_count(1 if width == 390 else 0)
    for place in range(4):
        above, below = page.locator(".pane").nth(place).bounding_box(), cells.nth(place).bounding_box()
        assert abs(above["x"] - below["x"]) < 10  # a scroll bar beside the table
        assert abs(above["width"] - below["width"]) < 10


def test_prompts_are_compared_word_by_word(open_page, root):
    outputs = {}
    for run in RunStore(root).iter_runs():
        for record, output in run.iter_outputs():
            outputs.setdefault(record.prompt.positive, output.digest[7:23])
    first, second = list(outputs.items())[:2]
    page = open_page(f"/compare?q=digest:{first[1]},{second[1]}")
    marks = page.get_by_role("region", name="What differs").locator("mark")
    expect(marks.first).to_be_visible()
    differing = set(re.findall(r"\w+", first[0])) ^ set(re.findall(r"\w+", second[0]))
    wait_for(lambda: set(re.findall(r"\w+", " ".join(marks.all_inner_texts()))) == differing)


def test_wipe_flicker_and_difference_show_two_pictures_in_one_place(open_page, root):
    page = open_page(compare_address(root, 2))
    expect(page.locator(".pane")).to_have_count(2)
    page.keyboard.press("d")
    expect(page.locator(".pane.difference img")).to_have_count(2)
    expect(page.locator(".pane img").last).to_have_css("mix-blend-mode", "difference")
    page.keyboard.press("w")
    box = page.locator(".pane.wipe").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + 40)
    edge = page.locator(".wipe-edge")
    wait_for(lambda: abs(edge.evaluate("edge => parseFloat(edge.style.left)") - box["width"] * 0.25) < 2)
    page.keyboard.press("f")
    page.wait_for_selector(".pane.flicker.second")
    page.wait_for_selector(".pane.flicker:not(.second)")
    page.keyboard.press("s")
    expect(page.locator(".pane")).to_have_count(2)


def test_each_is_rated_and_one_is_preferred_by_key_and_by_mouse(open_page, root):
    page = open_page(compare_address(root, 3))
    expect(page.locator(".pane")).to_have_count(3)
    digests = digests_of(root, 3)
    page.keyboard.press("4")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    page.get_by_role("group", name=re.compile("Picture 3")).get_by_role("button", name="5 stars").click()
    wait_for(lambda: ratings_in(root) == dict(zip(digests, (4, 2, 5), strict=True)))
    page.keyboard.press("z")
    wait_for(lambda: ratings_in(root).get(digests[2]) is None)
    page.get_by_role("button", name="Better").nth(2).click()

    def preferences():
        documents = [FeedbackLog(run.path).read().build_document() for run in RunStore(root).iter_runs()]
        return [(each.winner, each.loser) for document in documents for each in document.state.preferences]

    wait_for(lambda: sorted(preferences()) == sorted([(digests[2], digests[0]), (digests[2], digests[1])]))


def test_the_wall_leads_to_a_comparison_of_what_is_selected(open_page, root):
    page = open_page("/")
    expect(page.locator("[data-screen=wall]").first).to_be_visible()
    page.wait_for_selector("[role=option] img.there")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("c")
    expect(page).to_have_url(re.compile(r"/compare\?q=digest"))
    expect(page.locator(".pane")).to_have_count(2)


@pytest.fixture
def sampled(root):
    """Three settings of CFG by two samplers, with a hole."""
    for prompt in ("a quiet harbour at dawn", "an old lighthouse in fog"):
        make_runs(root, [prompt], values=(4.0, 10.0), sampler="Heun")
    return root


def test_a_grid_lays_images_out_and_shows_its_holes(sampled, open_page, keep_screen):
    page = open_page("/grid?x=cfg&y=sampler")
    cells = page.locator(".grid-cell:not(.hole)")
    expect(cells).to_have_count(5)
    expect(page.locator(".grid-cell.hole")).to_have_count(1)
    expect(page.locator(".grid-head")).to_have_text(["4", "7", "10"])
    expect(page.locator(".grid-side")).to_have_text(["Euler a", "Heun"])
    expect(page.get_by_role("status").filter(has_text="1 hole")).to_be_visible()
    expect(cells.first.locator(".count")).to_have_text("4")
    page.wait_for_selector(".grid-cell img.there")
    keep_screen(page, "grid")


def test_keys_move_in_a_grid_and_rate_and_hover_shows_large(sampled, open_page):
    page = open_page("/grid?x=cfg&y=sampler")
    page.wait_for_selector(".grid-cell img.there")
    page.locator(".grid-cell").first.hover()
    expect(page.locator(".grid-large img")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".grid-cell.cursor")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".grid-large")).to_contain_text(re.compile("7, Euler a|10, Heun"))
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(200)
    page.keyboard.press("5")
    wait_for(lambda: 5 in ratings_in(sampled).values())
    page.keyboard.press("z")
    wait_for(lambda: 5 not in ratings_in(sampled).values())
    page.locator(".grid-cell").first.click()
    page.locator(".grid-large").get_by_role("button", name="3 stars").click()
    wait_for(lambda: 3 in ratings_in(sampled).values())


def test_holes_become_a_plan_that_runs(sampled, server, open_page, tmp_path):
    page = open_page("/grid?x=cfg&y=sampler")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save as plan").click()
    path = tmp_path / "holes.plan.json"
    waiting.value.save_as(path)
    plan = json.loads(path.read_text())
    assert plan["presets"][0]["overrides"] == {"txt2img.cfg_scale": 7.0, "txt2img.sampler": "Heun"}
    server.run("plan", "run", str(path))
    wait_for(lambda: len(page.request.get("/api/grid?x=cfg&y=sampler").json()["cells"]) == 6)


def test_holes_are_filled_by_one_click_where_the_engine_answers(sampled, open_page):
    page = open_page("/grid?x=cfg&y=sampler")
    page.get_by_role("button", name="Fill 1 hole").click()
    expect(page.get_by_text("Started: 2 images")).to_be_visible()
    wait_for(lambda: len(page.request.get("/api/grid?x=cfg&y=sampler").json()["cells"]) == 6)


def test_what_no_plan_can_set_is_not_offered_to_be_filled(sampled, open_page):
    page = open_page("/grid?x=cfg&y=prompt")
    page.wait_for_selector(".grid-cell img.there")
    assert not page.request.get("/api/grid?x=cfg&y=prompt").json()["can_fill"]
    expect(page.get_by_role("button", name="Fill")).to_have_count(0)


def test_a_heading_sorts_by_the_stars_of_its_line_and_the_corner_by_value(sampled, server, open_page):
    page = open_page("/grid?x=cfg&y=sampler")
    page.wait_for_selector(".grid-cell img.there")
    page.get_by_role("application").press("ArrowRight")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("5")
    expect(page.locator(".grid-cell.cursor .mine")).to_have_text("★★★★★")
    wait_for(lambda: any(cell[6] for cell in page.request.get("/api/grid?x=cfg&y=sampler").json()["cells"]))
    page.reload()
    page.get_by_role("button", name="Euler a").click()
    expect(page.locator(".grid-head")).to_have_text(["10", "4", "7"])
    expect(page.get_by_role("button", name="Euler a ★")).to_have_attribute("aria-pressed", "true")
    page.locator(".grid-corner").click()
    expect(page.locator(".grid-head")).to_have_text(["4", "7", "10"])


def test_a_fourth_setting_stands_across(sampled, open_page):
    page = open_page("/grid?x=cfg&y=prompt")
    page.get_by_label("Panels across").select_option("sampler")
    expect(page.locator(".grid-head").nth(3)).to_have_text("Heun · 4")
    for _ in range(5):
        page.keyboard.press("<")
    expect(page.locator(".grid-head")).to_have_count(6)
    expect(page.locator(".grid-cell:not(.hole)")).to_have_count(16)
    expect(page).to_have_url(re.compile("across=sampler"))


def test_a_third_setting_can_be_taken_out_of_a_grid_that_opened_with_it(root, open_page):
    for sampler in ("Euler a", "Heun"):
        for steps in (10, 20):
            make_runs(root, ["a volcano"], values=(4.0, 10.0), sampler=sampler, steps=steps)
    page = open_page("/grid?q=volcano")
    panels = page.get_by_label("Panels down")
    expect(panels).to_have_value("steps")
    expect(page.locator(".grid-cell .count").first).to_be_hidden()  # no stacks
    panels.select_option("none")
    expect(page.locator(".grid-cell .count")).to_have_text(["2"] * 4)
    expect(page.get_by_label("Panels down")).to_have_value("")


def test_the_selection_goes_along_to_the_grid(open_page):
    page = open_page("/")
    page.wait_for_selector("[role=option] img.there")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("g")
    page.keyboard.press("g")
    expect(page).to_have_url(re.compile(r"/grid\?q=digest"))
    expect(page.locator(".grid-cell:not(.hole)")).to_have_count(3)


def test_a_grid_is_saved_as_a_picture_and_as_data(sampled, open_page):
    page = open_page("/grid?x=cfg&y=sampler")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save as CSV").click()
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
    assert len(rows) == 16
    assert {row["cfg_scale"] for row in rows if row["sampler"] == "Heun"} == {"4", "10"}
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as PNG").click()
    from PIL import Image

    with Image.open(waiting.value.path()) as sheet:
        assert sheet.size == (140 + 3 * 264, 32 + 2 * 264)
        assert len(sheet.convert("RGB").getcolors(1 << 24)) > 100
