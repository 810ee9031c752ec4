"""One run: outputs by stage, settings, feedback, verify, reproduce."""

import re

import pytest

from stablenew import RunStore
from tests.web.browser import expect
from tests.web.serving import events_of, make_runs

STAGES = {"img2img": {"denoising_strength": 0.5}, "upscale": {"factor": 2}}


@pytest.fixture
def staged(root):
    (run_id,) = make_runs(root, ["a greenhouse after rain"], values=(5.0, 9.0), stages=STAGES)
    return run_id


def test_outputs_stand_stage_by_stage_with_a_slider(open_page, staged, keep_screen):
    page = open_page(f"/runs/{staged}")
    expect(page.locator(".strip button")).to_have_count(2)
    slider = page.get_by_role("slider", name="Before and after")
    after = page.locator(".slider .after")
    slider.fill("80")
    expect(after).to_have_css("clip-path", re.compile("80%"))
    before = page.get_by_label("Stage before")
    expect(before.locator("option")).to_have_text(["txt2img", "img2img"])
    old = page.locator(".slider img").first.get_attribute("src")
    before.select_option("txt2img")
    expect(page.locator(".slider img").first).not_to_have_attribute("src", old)
    expect(page.locator(".timing span")).to_have_count(3)
    expect(page.get_by_role("img", name=re.compile("Time by stage: txt2img"))).to_be_visible()
    keep_screen(page, "run")


def test_a_sweep_opens_as_its_grid(open_page, root, run_ids, keep_screen):
    page = open_page(f"/runs/{run_ids[0]}")
    expect(page.locator(".grid-cell:not(.hole)")).to_have_count(3)
    expect(page.locator(".grid-head")).to_have_text(["4", "7", "10"])
    expect(page.locator(".grid-large")).to_contain_text("4")  # the first, before anybody points at one
    expect(page.locator(".grid-large img")).to_be_visible()
    expect(page.locator(".strip")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Variant", exact=True)).to_contain_text("Variant 1")
    page.keyboard.press("5")
    expect(page.get_by_role("group", name=re.compile("Rating of image 1: 5 of 5"))).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_role("group", name=re.compile("Rating of image 1: not rated"))).to_be_visible()
    page.keyboard.press("Shift+Z")
    expect(page.get_by_role("group", name=re.compile("Rating of image 1: 5 of 5"))).to_be_visible()
    keep_screen(page, "run-sweep")


@pytest.mark.parametrize("late", ["**/api/grid?*", "**/api/images/rows?*"])
def test_a_key_that_is_pressed_before_the_grid_is_there_is_about_what_is_shown(open_page, root, run_ids, late):
    page = open_page("/jobs")
    held, is_quick = [], []
    page.route(late, lambda route: route.continue_() if is_quick else held.append(route))
    with page.expect_request(late):
        page.goto(f"/runs/{run_ids[0]}")
    variant = page.get_by_label("Variant", exact=True)
    expect(variant).to_contain_text("Variant 0")
    page.keyboard.press("ArrowRight")
    is_quick.append(True)
    for route in held:
        route.continue_()
    expect(page.locator(".grid-large img")).to_be_visible()
    expect(page.locator(".grid-large b")).to_contain_text("7")
    expect(variant).to_contain_text("Variant 1")
    page.keyboard.press("5")
    expect(page.locator(".grid-cell.cursor")).to_contain_text("★★★★★")
    expect(variant.get_by_role("group", name=re.compile("Rating of image 1: 5 of 5"))).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(variant).to_contain_text("Variant 2")


def test_a_run_of_one_setting_has_no_grid(open_page, root):
    (run_id,) = make_runs(root, ["a greenhouse after rain"])
    page = open_page(f"/runs/{run_id}")
    expect(page.locator(".strip button")).to_have_count(1)
    expect(page.locator(".run-grid")).to_be_hidden()


def test_asked_stands_against_ran(open_page, root):
    from stablenew import RunRecorder

    with RunRecorder(root, config={"steps": 30}, engine="theirs") as run:
        run.record_variant(
            prompt="x", images=[], settings={"steps": 30, "sampler": "DDIM"}, actual={"steps": 20, "sampler": "DDIM"}
        )
    page = open_page(f"/runs/{run.run_id}")
    expect(page.locator("tr.differs")).to_have_text([re.compile("Steps.*30.*20")])


def test_what_people_say_has_a_history(open_page, server, root, run_ids):
    server.run("rate", run_ids[0], "1/0", "2", "--rater", "bob", "--note", "too dark")
    page = open_page(f"/runs/{run_ids[0]}")
    page.get_by_role("group", name=re.compile("Rating of image 1")).get_by_role("button", name="4 stars").click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("5")
    table = page.locator("table", has_text="Who")
    expect(table.locator("tbody tr")).to_have_count(4)
    expect(table.locator("tbody tr").first).to_contain_text("variant 1")
    expect(table).to_contain_text("“too dark”")
    expect(table).to_contain_text("bob")
    page.keyboard.press("z")
    expect(table.locator("tbody tr").first).to_contain_text("undone")
    page.keyboard.press("Shift+Z")
    expect(table.locator("tbody tr").first).to_contain_text("★★★★★")
    page.get_by_role("group", name=re.compile("Rating of the run")).get_by_role("button", name="3 stars").click()
    expect(table.locator("tbody tr").first).to_contain_text("the run")
    expect(page.locator("#saving")).to_be_hidden()
    said = [event["op"] for event in events_of(root, run_ids[0])]
    assert said == ["rate", "note", "rate", "rate", "retract", "rate", "rate"]


def test_verify_now_says_when_and_what(open_page, root, run_ids):
    page = open_page(f"/runs/{run_ids[0]}")
    page.get_by_role("button", name="Verify now").click()
    expect(page.locator(".ok")).to_contain_text("as recorded, verified at")
    output = next((root / run_ids[0] / "outputs").iterdir())
    output.chmod(0o644)
    output.write_bytes(output.read_bytes()[:-1] + b"\0")
    page.keyboard.press("v")
    expect(page.locator(".actions .bad").first).to_contain_text("not as recorded")
    expect(page.locator(".finding-error").first).to_contain_text("file-changed")


def test_the_folder_and_the_command_are_at_hand(open_page, run_ids, root):
    page = open_page(f"/runs/{run_ids[0]}", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy command").click()
    expect(page.get_by_text("Copied:")).to_be_visible()
    assert (
        page.evaluate("() => navigator.clipboard.readText()")
        == f"stablenew run --again {run_ids[0]} --engine sketch --record"
    )
    page.get_by_role("button", name="Open folder").click()
    expect(page.locator(".toast").last).to_contain_text(str(root / run_ids[0]))


def test_a_run_is_reproduced_byte_for_byte_and_varied(open_page, root, staged):
    page = open_page(f"/runs/{staged}")
    page.get_by_role("link", name="Reproduce").click()
    page.get_by_label("Learning Mode").check()
    expect(page.get_by_role("status", name="Plan")).to_contain_text("2 variants")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".job")).to_contain_text("Done: 2 of 2 variants")
    again = page.locator(".job a").first.inner_text()
    store = RunStore(root)
    digests = [[output.digest for _, output in store.open(one).iter_outputs()] for one in (staged, again)]
    assert digests[0] == digests[1]
    page.goto(f"/runs/{again}")
    compared = page.get_by_label("Compared with the run it repeats")
    expect(compared).to_contain_text(f"identical with {staged}: nothing known changed")
    page.goto(f"/runs/{staged}")
    expect(page.get_by_label("Compared with the run it repeats")).to_be_hidden()
    page.get_by_role("link", name="Vary").click()
    expect(page.get_by_label("other seeds")).to_be_checked()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".job")).to_have_count(2)
    expect(page.locator(".job").first).to_contain_text("Done: 2 of 2 variants")
    varied = page.locator(".job a").first.inner_text()
    assert varied != again
    assert digests[0] != [output.digest for _, output in store.open(varied).iter_outputs()]


@pytest.mark.only_reads
def test_runs_that_differ_in_one_setting_are_named(open_page, run_ids):
    page = open_page(f"/runs/{run_ids[0]}")
    expect(page.get_by_role("heading", name="Differs in one setting")).to_be_visible()
    expect(page.locator("table", has_text="There")).to_contain_text("CFG scale")


@pytest.mark.only_reads
def test_a_run_that_is_not_there_says_so(open_page):
    page = open_page("/")
    open_page.tolerated = "404"
    page.goto("/runs/20200101-000000-000-aaaaaaaaaa")
    expect(page.get_by_text("no run '20200101-000000-000-aaaaaaaaaa'")).to_be_visible()


@pytest.mark.only_reads
def test_leaving_before_it_is_loaded_leaves_no_trace(open_page, run_ids):
    page = open_page("/")
    expect(page.locator(".cell img.there")).to_have_count(12)
    for _ in range(3):
        page.keyboard.press("g")
        page.keyboard.press("j")
        page.wait_for_url("**/jobs")
        page.go_back()
        expect(page.locator(".cell:not([hidden])")).to_have_count(12)


def test_a_run_that_is_moved_away_under_an_open_page_says_so_until_it_is_back(open_page, root, run_ids, tmp_path):
    page = open_page(f"/runs/{run_ids[0]}")
    expect(page.get_by_role("heading", level=1)).to_have_text("test")
    open_page.tolerated = "404"
    gone = page.get_by_role("alert")
    (root / run_ids[0]).rename(tmp_path / "elsewhere")
    expect(gone).to_contain_text("not in the store any more")
    expect(page.get_by_role("heading", level=1)).to_have_text("test")
    (tmp_path / "elsewhere").rename(root / run_ids[0])
    expect(gone).to_be_hidden()
