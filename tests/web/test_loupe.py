"""The loupe: one image as large as the window allows, by mouse, keys and what is said of it."""

import json
import re
from pathlib import Path

import pytest

from tests.web.browser import expect
from tests.web.serving import events_of, wait_for

MATRIX = "(one) => new DOMMatrix(getComputedStyle(one).transform)"


def current(page):
    return page.locator(".loupe img.current")


def at(page, index):
    expect(current(page)).to_have_attribute("data-index", str(index))


def place(page):
    """Scale, left and top of the picture."""
    matrix = current(page).evaluate(f"(one) => {{ const at = ({MATRIX})(one); return [at.a, at.e, at.f]; }}")
    return [round(value, 3) for value in matrix]


@pytest.fixture
def page(open_page):
    opened = open_page("/?q=&view=loupe")
    at(opened, 0)
    return opened


def test_the_next_image_follows_each_rating_by_key_or_mouse(page, root, run_ids, keep_screen):
    page.keyboard.press("5")
    at(page, 1)
    expect(current(page)).to_have_js_property("complete", True)
    expect(current(page)).not_to_have_js_property("naturalWidth", 0)
    page.locator(".hud").get_by_role("button", name="2 stars").click()
    at(page, 2)
    keep_screen(page, "loupe")
    expect(page.locator("#saving")).to_be_hidden()
    assert [event["rating"] for event in events_of(root, run_ids[0])] == [5, 2]
    page.reload()
    at(page, 2)


@pytest.mark.only_reads
def test_images_are_reached_by_keys_buttons_and_the_filmstrip(page):
    page.keyboard.press("ArrowRight")
    at(page, 1)
    page.keyboard.press("ArrowUp")
    at(page, 0)
    page.get_by_role("button", name="Next image").click()
    page.get_by_role("button", name="Next image").click()
    at(page, 2)
    page.get_by_role("button", name="Previous image").click()
    at(page, 1)
    page.locator('.film-frame[data-index="4"]').click()
    at(page, 4)
    page.keyboard.press("\\")
    expect(page.locator(".film")).to_be_hidden()
    page.keyboard.press("\\")
    expect(page.locator(".film")).to_be_visible()


@pytest.mark.only_reads
def test_it_opens_and_closes_in_every_way(open_page):
    page = open_page("/")
    loupe = page.locator(".loupe")
    page.locator('.cell[aria-posinset="3"]').dblclick()
    at(page, 2)
    page.keyboard.press("Escape")
    expect(loupe).to_be_hidden()
    expect(page.locator(".cell.cursor")).to_have_attribute("aria-posinset", "3")
    for key in ("Space", "Enter"):
        page.keyboard.press(key)
        expect(loupe).to_be_visible()
        page.keyboard.press(key)
        expect(loupe).to_be_hidden()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Back to the wall").click()
    expect(loupe).to_be_hidden()


@pytest.mark.only_reads
def test_the_wheel_zooms_to_the_pointer_and_dragging_moves(page):
    whole = place(page)
    box = current(page).bounding_box()
    x, y = box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.55
    page.mouse.move(x, y)
    stage = page.locator(".stage").bounding_box()

    def spot():
        scale, left, top = place(page)
        return round((x - stage["x"] - left) / scale, 1), round((y - stage["y"] - top) / scale, 1)

    before = spot()
    for _ in range(8):
        page.mouse.wheel(0, -200)
    page.wait_for_timeout(150)
    zoomed = place(page)
    assert zoomed[0] > 3 * whole[0]
    assert all(abs(one - other) < 1 for one, other in zip(spot(), before, strict=True))
    page.mouse.down()
    page.mouse.move(x + 60, y - 40, steps=4)
    page.mouse.up()
    page.wait_for_timeout(100)
    moved = place(page)
    assert moved[0] == zoomed[0]
    assert moved != zoomed
    page.keyboard.press("Escape")
    assert place(page) == whole
    expect(page.locator(".loupe")).to_be_visible()


@pytest.mark.only_reads
def test_pixel_for_pixel_and_back_by_key_and_double_click(page):
    whole = place(page)
    page.keyboard.press(".")
    assert place(page)[0] == 1.0
    expect(page.locator(".hud")).to_contain_text("100 %")
    page.keyboard.press(".")
    assert place(page) == whole
    current(page).dblclick()
    assert place(page)[0] == 1.0
    current(page).dblclick()
    wait_for(lambda: place(page) == whole)


@pytest.mark.only_reads
def test_it_fills_the_screen_in_black_and_runs_by_itself(page):
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement?.classList.contains('loupe')")
    expect(page.locator(".loupe")).to_have_css("background-color", "rgb(0, 0, 0)")
    page.keyboard.press("f")
    page.wait_for_function("() => !document.fullscreenElement")
    page.clock.install()
    page.keyboard.press("s")
    page.clock.fast_forward(4500)
    at(page, 1)
    page.keyboard.press("Escape")
    page.clock.fast_forward(9000)
    at(page, 1)
    expect(page.locator(".loupe")).to_be_visible()


def test_the_panel_says_what_is_known(open_page, server, run_ids, keep_screen):
    server.run("rate", run_ids[0], "2/0", "3", "--rater", "bob")
    page = open_page("/?view=loupe")
    at(page, 0)
    page.keyboard.press("i")
    panel = page.get_by_role("complementary", name="About this image")
    for text in (
        "a tea garden at dusk",
        "Sampler",
        "Euler a",
        "CFG scale",
        "96 \N{MULTIPLICATION SIGN} 96",
        "bob",
        "sketch",
        run_ids[0],
    ):
        expect(panel).to_contain_text(text)
    variant = panel.locator("dd", has_text="of this job").inner_text()
    shown = json.loads(server.run("show", run_ids[0], "--json"))
    cfg = next(one["actual"]["cfg_scale"] for one in shown["records"] if f"{one['variant']['index']}/0" in variant)
    expect(panel.locator("strong").first).to_have_text(str(int(cfg)))
    keep_screen(page, "loupe-info")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    at(page, 3)
    expect(panel.locator("mark").first).to_have_text("mountain lake")
    page.keyboard.press("i")
    expect(panel).to_be_hidden()


@pytest.mark.only_reads
def test_texts_are_copied(open_page, server, run_ids):
    page = open_page("/?view=loupe", permissions=["clipboard-read", "clipboard-write"])
    at(page, 0)
    page.keyboard.press("i")
    expect(page.locator(".info")).to_contain_text("Engine")

    def copied(button):
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.locator(".toast").last).to_contain_text("copied")
        return page.evaluate("() => navigator.clipboard.readText()")

    assert copied("Copy prompt") == "a tea garden at dusk"
    assert re.search(r"\nSteps: 12, Sampler: Euler a, .*CFG scale: \d+, Seed: 7, Size: 96x96", copied("Infotext"))
    assert copied("Command").startswith(f"stablenew run --again {run_ids[0]} --engine sketch")
    page.get_by_role("button", name="Image", exact=True).click()
    expect(page.get_by_text("Image copied")).to_be_visible()
    kinds = page.evaluate("async () => (await navigator.clipboard.read()).flatMap((item) => item.types)")
    assert kinds == ["image/png"]


@pytest.mark.only_reads
def test_the_file_itself_can_be_saved_and_dragged_out(page, root, run_ids):
    page.keyboard.press("i")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as…").click()
    saved = download.value
    assert re.fullmatch(r"\d{8}-7-a-tea-garden-at-dusk\.png", saved.suggested_filename)
    files = [path.read_bytes() for path in (root / run_ids[0] / "outputs").iterdir()]
    data = Path(saved.path()).read_bytes()
    assert data in files
    dragged = current(page).evaluate(
        """(one) => {
          const data = new DataTransfer();
          one.dispatchEvent(new DragEvent("dragstart", { bubbles: true, dataTransfer: data }));
          return data.getData("DownloadURL");
        }"""
    )
    media_type, name, address = dragged.split(":", 2)
    assert (media_type, name) == ("image/png", saved.suggested_filename)
    assert page.request.get(address).body() == data


def test_flags_by_button_and_undo(page, root, run_ids):
    page.get_by_role("button", name="Pick (P)").click()
    expect(page.get_by_role("button", name="Pick (P)")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("x")
    expect(page.get_by_role("button", name="Reject (X)")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("z")
    expect(page.get_by_role("button", name="Pick (P)")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#saving")).to_be_hidden()
    assert [event["op"] for event in events_of(root, run_ids[0])] == ["flag", "flag", "retract"]
