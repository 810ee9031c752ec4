"""A new run: planned, started, followed, stopped."""

import json
import re

import pytest

from stablenew import RunStore
from stablenew.engines.comfyui.workflows import build_workflow
from tests.engines.comfyui_server import FakeComfyUI
from tests.engines.comfyui_server import serving as serving_comfyui
from tests.web.browser import expect
from tests.web.serving import events_of


def plan(page):
    return page.get_by_role("status", name="Plan")


@pytest.fixture
def page(open_page, server):
    packs = server.machine / "packs"
    packs.mkdir(parents=True, exist_ok=True)
    (packs / "boats.txt").write_text("a [[kind]] boat\nneg: blurry\n\na quiet [[kind]] pier\n")
    return open_page("/new")


def settings(server):
    return json.loads((server.machine / "config" / "config.json").read_bytes())


def test_a_pack_is_chosen_planned_and_run(page, server, root, keep_screen):
    page.get_by_label("Or a prompt pack").select_option("boats.txt")
    expect(page.get_by_label("Prompt", exact=True)).to_be_disabled()
    expect(plan(page)).to_contain_text("[[kind]] has no values")
    page.get_by_text("More: other settings").click()
    page.get_by_label("What varies in the prompt, one a line").fill("kind: blue | red | old")
    page.get_by_label("CFG scale").fill("5,7")
    expect(plan(page)).to_contain_text("12 images from 12 variants")
    expect(plan(page)).to_contain_text("Each prompt has one random seed")
    expect(plan(page)).to_contain_text("CFG scale 5")
    page.get_by_label("Maximum number of variants").fill("4")
    page.get_by_label("Size").fill("96x64")
    page.get_by_label("Tags for the records").fill("experiment:boats")
    expect(plan(page)).to_contain_text("4 variants of 12 possible")
    expect(plan(page)).to_contain_text(re.compile("about"))
    page.get_by_label("Learning Mode").check()
    expect(page.get_by_text("Runs are recorded in")).to_be_visible()
    assert settings(server) == {"learning_enabled": True}
    page.get_by_role("button", name="Start").click()
    job = page.locator(".job")
    expect(page.locator(".toast")).to_contain_text("Run ended: completed, 4 images")
    expect(job).to_contain_text("Done: 4 of 4 variants")
    expect(job.locator(".previews img")).to_have_count(4)
    job.get_by_role("group", name="Rating of image 8").get_by_role("button", name="4 stars").click()
    keep_screen(page, "new")
    run = RunStore(root).open(job.locator("a").first.inner_text())
    assert (run.status, run.metadata.learning_tags) == ("completed", ("experiment:boats",))
    record = next(iter(run.iter_records()))
    expect(page.locator("#saving")).to_be_hidden()
    assert [event["rating"] for event in events_of(root, run.run_id)] == [4]
    assert (record.prompt.positive, record.prompt.negative) == ("a blue boat", "blurry")
    assert (record.requested.width, record.requested.height) == (96, 64)
    page.get_by_role("link", name="Show its images").click()
    expect(page.locator(".cell:not([hidden])")).to_have_count(4)
    page.goto("/jobs")
    expect(page.locator('.row[aria-posinset="1"]')).to_contain_text("a blue boat")


def test_a_typed_prompt_runs_unrecorded_when_learning_mode_is_off(page, root):
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    page.get_by_label("Prompt", exact=True).fill("a lake\n\na hill\nneg: snow")
    page.get_by_label("Negative prompt").fill("people")
    page.get_by_label("Images of each").fill("3")
    expect(plan(page)).to_contain_text("6 images from 2 variants")
    page.get_by_label("Images of each").fill("")
    expect(page.get_by_text("Learning Mode is off")).to_be_visible()
    page.get_by_label("Prompt", exact=True).press("Control+Enter")
    expect(page.locator(".job")).to_contain_text("Done: 2 of 2")
    expect(page.locator(".toast")).to_contain_text("it was not recorded")
    assert len([path for path in root.iterdir() if path.name[0] != "."]) == 4


def test_a_run_shows_its_id_at_once_and_can_be_stopped(page, root, keep_screen):
    page.get_by_label("Or a prompt pack").select_option("sample:harbour")
    page.get_by_label("Learning Mode").check()
    page.get_by_label("CFG scale").fill(",".join(str(value) for value in range(1, 90)))
    page.get_by_label("Size").fill("768x768")
    expect(plan(page)).to_contain_text("178 variants")
    page.get_by_role("button", name="Start").click()
    job = page.locator(".job")
    expect(job).to_contain_text(re.compile("variant [2-9]+ of 178"))
    run_id = job.locator("a").first.inner_text()
    expect(job).to_contain_text("left")
    expect(job.locator(".previews img").first).to_be_visible()
    keep_screen(page, "new-running")
    page.get_by_role("link", name="Jobs").click()
    first = page.locator('.row[aria-posinset="1"]')
    expect(first).to_contain_text("Running")
    page.get_by_role("link", name="New run").click()
    page.locator(".job").get_by_role("button", name="Cancel").click()
    expect(page.locator(".job")).to_contain_text("Cancelled")
    run = RunStore(root).open(run_id)
    assert run.status == "cancelled"
    assert 1 <= len(list(run.iter_records())) < 178
    page.get_by_role("link", name="Jobs").click()
    expect(first).to_contain_text("Cancelled")


def test_runs_wait_for_each_other(page):
    page.get_by_label("Prompt", exact=True).fill("a lake\n\na hill")
    page.get_by_label("Size").fill("640x640")
    page.get_by_label("CFG scale").fill("1,2,3,4,5,6,7,8,9")
    expect(plan(page)).to_contain_text("18 variants")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".job")).to_have_count(1)
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".job").first).to_contain_text("waits for the run before it")
    page.locator(".job").first.get_by_role("button", name="Cancel").click()
    page.locator(".job").last.get_by_role("button", name="Cancel").click()
    expect(page.locator(".job", has_text="Cancelled")).to_have_count(2)


@pytest.mark.only_reads
def test_what_cannot_be_run_is_said_before_it_is_started(page, open_page):
    open_page.tolerated = "422"
    page.get_by_label("Prompt", exact=True).fill("a lake")
    page.get_by_label("Steps").fill("many")
    expect(plan(page)).to_contain_text("steps")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    page.get_by_label("Steps").fill("")
    page.get_by_label("Size").fill("huge")
    expect(plan(page)).to_contain_text("expected one size")


def test_ctrl_c_seals_what_runs(page, server, root):
    page.get_by_label("Learning Mode").check()
    page.get_by_label("Prompt", exact=True).fill("a lake")
    page.get_by_label("Size").fill("768x768")
    page.get_by_label("CFG scale").fill(",".join(map(str, range(1, 60))))
    expect(plan(page)).to_contain_text("59 variants")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".job")).to_contain_text(re.compile("variant [2-9]"))
    run_id = page.locator(".job a").first.inner_text()
    page.context.close()
    assert server.stop()[0] == 0
    assert RunStore(root).open(run_id).status == "cancelled"


@pytest.mark.only_reads
def test_a_setting_is_added_by_name_and_removed(page):
    page.get_by_label("Prompt", exact=True).fill("a lake")
    page.get_by_text("More: other settings").click()
    page.get_by_role("button", name="Add a setting").click()
    names = page.get_by_label("Setting", exact=True)
    assert page.locator("#setting-names option[value='txt2img.clip_skip']").inner_text() == "Clip skip"
    names.fill("txt2img.clip_skip")
    page.get_by_label("Values").fill("1, 2")
    expect(plan(page)).to_contain_text("2 images")
    page.get_by_label("Remove this setting").click()
    expect(plan(page)).to_contain_text("1 image from")


@pytest.mark.only_reads
def test_an_engine_says_whether_it_answers_and_what_it_has(page):
    state = page.get_by_role("status", name="State of the engine")
    expect(state).to_contain_text("sketch")
    expect(state).to_contain_text("answers")
    expect(page.get_by_label("Address of its server")).to_be_hidden()
    fake = FakeComfyUI()
    with serving_comfyui(fake) as url:
        page.locator("#f-engine").select_option("comfyui")
        expect(state).to_contain_text("start ComfyUI")
        page.get_by_label("Address of its server").fill(url)
        expect(state).to_contain_text(f"answers at {url}")
        page.get_by_label("Sampler").focus()
        samplers = page.locator("#samplers option").evaluate_all("options => options.map(option => option.value)")
        assert samplers[:2] == ["Euler", "Euler a"], "the server's list, by the names that records have"


@pytest.mark.only_reads
def test_a_workflow_shows_what_is_set_in_it_and_what_it_holds(page, open_page, tmp_path, keep_screen):
    open_page.tolerated = "422"
    page.locator("#f-engine").select_option("comfyui")
    graph = build_workflow("txt2img", {})
    (tmp_path / "mine.json").write_text(json.dumps(graph))
    page.get_by_label("Workflow of your own").set_input_files(tmp_path / "mine.json")
    row = page.get_by_role("row", name="Steps")
    expect(row).to_contain_text("KSampler")
    expect(row).to_contain_text("20")
    keep_screen(page, "new-workflow")
    page.get_by_label("Prompt", exact=True).fill("a lake")
    expect(plan(page)).to_contain_text("1 image")
    (tmp_path / "page.json").write_text('{"nodes": []}')
    page.get_by_label("Workflow of your own").set_input_files(tmp_path / "page.json")
    expect(page.get_by_text("export it in API format")).to_be_visible()


@pytest.mark.only_reads
def test_the_form_fits_a_phone(open_page):
    page = open_page("/new", viewport={"width": 390, "height": 844}, has_touch=True)
    page.get_by_label("Prompt", exact=True).fill("a lake")
    expect(plan(page)).to_contain_text("1 image")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
