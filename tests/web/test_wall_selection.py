"""Stacks, albums, a zip of copies, the veil: what is done on the wall beside looking and rating."""

import re
import zipfile

import pytest

from stablenew import PipelineConfig, PipelineRunner, Prompt, RunRecorder, RunStore, SketchEngine, VariantPlan
from stablenew.pipeline.randomizer import SWEEP, Axis
from tests.web.browser import expect
from tests.web.serving import Client, events_of, make_runs, wait_for
from tests.web.test_images_api import album, make_album
from tests.web.test_loupe import current
from tests.web.test_wall_screen import cell, cells


def add_seeds(root, *seeds):
    """A run that varies the seed and nothing else."""
    runner = PipelineRunner(SketchEngine(), run_store=RunStore(root))
    config = PipelineConfig(txt2img={"width": 96, "height": 96, "steps": 12, "sampler": "Euler a"})
    plan = VariantPlan((Prompt("a mill by the river"),), sweeps=(Axis(SWEEP, "txt2img.seed", seeds),))
    return runner.run(config, plan=plan).run_id


def test_a_stack_shows_its_size_and_opens_by_click_and_key(open_page, root, keep_screen):
    add_seeds(root, 1, 2, 3, 4)
    page = open_page("/")
    expect(cells(page)).to_have_count(16)
    page.get_by_label("Stack seeds").check()
    expect(cells(page)).to_have_count(13)
    expect(page).to_have_url(re.compile("stack=1"))
    badge = cell(page, 1).locator(".stack")
    expect(badge).to_have_text("4")
    expect(cell(page, 1)).to_have_attribute("aria-label", re.compile("stack of 4"))
    keep_screen(page, "wall-stacks")
    badge.click()
    expect(cells(page)).to_have_count(16)
    expect(page.locator(".counts")).to_have_text("16 images · 16 unrated")
    expect(page.locator(".stack:not([hidden])")).to_have_count(1)
    page.keyboard.press("s")
    expect(cells(page)).to_have_count(13)
    page.reload()
    expect(page.get_by_label("Stack seeds")).to_be_checked()
    expect(cells(page)).to_have_count(13)


def test_a_rating_in_an_open_stack_is_of_the_image_under_the_cursor(open_page, root):
    run_id = add_seeds(root, 1, 2)
    page = open_page("/?stack=1")
    expect(cells(page)).to_have_count(13)
    page.keyboard.press("s")
    expect(cells(page)).to_have_count(14)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("4")
    expect(cell(page, 2).locator(".marks")).to_have_text("★★★★")
    expect(page.locator("#saving")).to_be_hidden()
    assert [event["rating"] for event in events_of(root, run_id)] == [4]


def test_a_selection_goes_into_an_album_that_the_search_finds_and_out_again(open_page):
    page = open_page("/")
    expect(cells(page)).to_have_count(12)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("b")
    page.locator("#ask-field").fill("Best of May")
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 images in Best of May")).to_be_visible()
    page.locator(".facet", has_text="Album").get_by_role("button", name="Best of May").click()
    expect(cells(page)).to_have_count(3)
    expect(page.get_by_label("Sort")).to_have_value("album")
    expect(page.locator(".facet", has=page.get_by_role("heading", name="Tag", exact=True))).to_have_count(0)
    page.keyboard.press("Space")
    page.keyboard.press("i")
    expect(page.locator(".info").get_by_role("link", name="Best of May")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    page.keyboard.press("b")
    page.locator("#ask-field").fill("Best of May")
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 images out of Best of May")).to_be_visible()
    wait_for(lambda: page.request.get("/api/images/facets").json()["album"] == [])


def test_a_selection_is_saved_as_a_zip_under_names_of_ones_own(open_page):
    page = open_page("/?q=harbour")
    expect(cells(page)).to_have_count(3)
    page.keyboard.press("Control+a")
    page.keyboard.press("e")
    page.get_by_label("Names").fill("{prompt:7} at {cfg_scale}")
    page.get_by_label("Captions for trainers").check()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save").last.click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        names = sorted(archive.namelist())
    stems = [f"a quiet at {value}.0" for value in (10, 4, 7)]
    assert names == sorted(f"{stem}.{ending}" for stem in stems for ending in ("png", "txt"))


def test_tags_of_several_images_are_added_and_taken_away(open_page, root, run_ids):
    page = open_page("/?q=harbour")
    expect(cells(page)).to_have_count(3)
    for text in ("keeper, quay", "-quay"):
        page.keyboard.press("Control+a")
        page.keyboard.press("t")
        page.get_by_label("Tags, separated by commas").fill(text)
        page.keyboard.press("Enter")
    expect(page.locator(".cell .marks", has_text="#1")).to_have_count(3)


def test_pictures_are_blurred_until_the_mouse_is_over_them_also_after_a_reload(open_page):
    page = open_page("/")
    expect(cells(page)).to_have_count(12)
    blurred = re.compile("blur")
    page.get_by_label("Blur until hover").check()
    expect(cell(page, 3).locator("img")).to_have_css("filter", blurred)
    cell(page, 3).hover()
    expect(cell(page, 3).locator("img")).to_have_css("filter", "none")
    page.reload()
    expect(cells(page)).to_have_count(12)
    expect(cell(page, 5).locator("img")).to_have_css("filter", blurred)


@pytest.mark.parametrize("ratio", [1, 3])
def test_a_thumbnail_is_as_large_as_the_screen_needs(open_page, root, ratio):
    from PIL import Image

    with RunRecorder(root, engine="theirs") as run:
        run.record_variant(prompt="large", images=[Image.radial_gradient("L").resize((1600, 1600))])
    page = open_page("/?q=large", device_scale_factor=ratio)
    expect(page.locator(".cell img.there")).to_have_count(1)
    wanted = {1: "320", 3: "1024"}[ratio]
    assert page.locator(".cell img.there").get_attribute("src").endswith(f"/{wanted}")
    for _ in range(5):
        page.keyboard.press("+")
    wanted = {1: "512", 3: "1024"}[ratio]
    page.wait_for_function(
        "(wanted) => document.querySelector('.cell img.there')?.getAttribute('src').endsWith(wanted)", arg=f"/{wanted}"
    )


def test_the_digests_and_the_workflow_are_copied_from_the_panel(open_page, root):
    import io
    import json

    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    graph = {"nodes": [{"id": 1, "type": "KSampler"}], "links": []}
    text, buffer = PngInfo(), io.BytesIO()
    text.add_text("workflow", json.dumps(graph))
    Image.new("RGB", (64, 64), "teal").save(buffer, "PNG", pnginfo=text)
    with RunRecorder(root, engine="comfyui") as run:
        run.record_variant(prompt="graph", images=[buffer.getvalue()])
    page = open_page("/?q=graph&view=loupe", permissions=["clipboard-read", "clipboard-write"])
    expect(current(page)).to_be_visible()
    page.keyboard.press("i")
    page.get_by_role("button", name="ComfyUI workflow").click()
    expect(page.get_by_text("Paste it into ComfyUI")).to_be_visible()
    assert json.loads(page.evaluate("() => navigator.clipboard.readText()")) == graph
    page.locator(".copied").first.click()
    digest = next(RunStore(root).open(run.run_id).iter_outputs())[1].digest
    wait_for(lambda: page.evaluate("() => navigator.clipboard.readText()") == digest)


@pytest.fixture
def client(server):
    """Somebody with the cookie of the page that is open."""
    return Client(server)


@pytest.fixture
def open_album(open_page, client):
    """A function that opens an album of four images; it gives the page and their digests in order."""

    def open_it(**context):
        page = open_page("/", **context)
        client.cookie = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())
        digests, _ = make_album(client)
        page.goto("/?q=album:Best&sort=album")
        expect(cells(page).locator("img.there")).to_have_count(4)
        return page, digests

    return open_it


def expect_order(page, client, digests):
    """The page shows the album in this order, and so does the server, and the page again when it is loaded anew."""
    for number, digest in enumerate(digests, start=1):
        expect(cell(page, number).locator("img")).to_have_attribute("src", re.compile(digest[7:]))
    expect(page.locator("#saving")).to_be_hidden()
    wait_for(lambda: album(client) == digests)


def test_an_album_is_put_in_order_by_keys_and_undo_puts_it_back(open_album, client):
    page, (a, b, c, d) = open_album()
    page.keyboard.press("Alt+ArrowRight")
    expect_order(page, client, [b, a, c, d])
    expect(cell(page, 2)).to_have_class(re.compile("cursor"))
    page.keyboard.press("Alt+End")
    expect_order(page, client, [b, c, d, a])
    page.keyboard.press("Alt+ArrowLeft")
    expect_order(page, client, [b, c, a, d])
    page.keyboard.press("5")
    page.keyboard.press("z")
    page.keyboard.press("z")
    expect_order(page, client, [b, c, d, a])
    page.keyboard.press("Shift+Z")
    expect_order(page, client, [b, c, a, d])
    page.reload()
    expect_order(page, client, [b, c, a, d])


def test_images_of_an_album_are_dragged_to_their_place(open_album, client, keep_screen):
    page, (a, b, c, d) = open_album()
    target = cell(page, 1).bounding_box()
    start = cell(page, 4).bounding_box()
    page.mouse.move(start["x"] + 60, start["y"] + 60)
    page.mouse.down()
    page.mouse.move(target["x"] + 40, target["y"] + 60, steps=4)
    expect(page.locator(".insertion")).to_be_visible()
    keep_screen(page, "album-drag")
    page.mouse.up()
    expect_order(page, client, [d, a, b, c])
    expect(page.locator(".insertion")).to_be_hidden()
    cell(page, 1).click()
    cell(page, 2).click(modifiers=["Shift"])
    behind = cell(page, 4).bounding_box()
    cell(page, 1).drag_to(cell(page, 4), target_position={"x": behind["width"] - 8, "y": 60})
    expect_order(page, client, [b, c, d, a])
    expect(page.locator('.cell[aria-selected="true"]:not([hidden])')).to_have_count(2)


def test_images_of_an_album_are_moved_by_finger(open_album, client, keep_screen):
    page, (a, b, c, d) = open_album(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    hold(page, cell(page, 3))
    acts = page.get_by_role("group", name="The selection")
    expect(acts).to_be_visible()
    keep_screen(page, "album-phone")
    acts.get_by_role("button", name="Earlier").tap()
    expect_order(page, client, [a, c, b, d])
    acts.get_by_role("button", name="Move before…").tap()
    cell(page, 1).tap()
    expect_order(page, client, [c, a, b, d])
    page.get_by_role("button", name="1 selected").tap()
    expect(acts).to_be_hidden()


def hold(page, target):
    """A finger that rests on an image."""
    box = target.bounding_box()
    session = page.context.new_cdp_session(page)
    point = [{"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}]
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": point})
    expect(target).to_have_attribute("aria-selected", "true")
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_another_tab_shows_the_new_order_of_an_album(open_album, client):
    page, (a, b, c, d) = open_album()
    other = page.context.new_page()
    other.goto("/?q=album:Best&sort=album")
    expect(cells(other).locator("img.there")).to_have_count(4)
    other.keyboard.press("Alt+End")
    expect_order(other, client, [b, c, d, a])
    expect_order(page, client, [b, c, d, a])


def test_what_can_be_done_with_a_selection_fits_a_phone(open_page, root, keep_screen):
    make_runs(root, [f"picture {number}" for number in range(12)])
    page = open_page("/", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    hold(page, cell(page, 3))
    acts = page.get_by_role("group", name="The selection")
    for button in acts.get_by_role("button").filter(visible=True).all():
        expect(button).to_be_in_viewport(ratio=1)
    keep_screen(page, "selection-phone")
    page.locator(".wall .viewport").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    last = page.locator('.cell[aria-posinset="24"]')
    expect(last).to_be_in_viewport(ratio=1)
    chosen = page.get_by_role("button", name="1 selected")
    expect(chosen).to_be_visible()
    bar, box = page.locator(".status-bar").bounding_box(), last.bounding_box()
    assert box["y"] + box["height"] <= bar["y"]
