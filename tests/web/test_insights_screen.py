"""Insights: what the ratings say about settings."""

import re

import pytest

from tests.web.browser import expect
from tests.web.conftest import GONE
from tests.web.serving import make_runs, rate_all

CFG = "txt2img.cfg_scale"


def test_values_are_shown_with_their_stars_and_how_sure_their_means_are(open_page, root, keep_screen):
    rate_all(root)
    page = open_page("/insights")
    expect(page.get_by_role("status").get_by_text("12 rated images")).to_be_visible()
    section = page.get_by_role("region", name="CFG scale")
    values = section.get_by_role("table").first
    expect(values.get_by_role("rowheader")).to_have_count(3)
    row = values.get_by_role("row").filter(has=page.get_by_role("rowheader", name="7", exact=True))
    expect(row.get_by_role("img")).to_have_attribute("aria-label", re.compile("4 stars: 0, 5 stars: 4"))
    expect(row).to_contain_text(re.compile(r"\d\.\d\d \(\d\.\d\d to \d\.\d\d\)"))
    expect(values.get_by_text("Few images")).to_have_count(3)
    keep_screen(page, "insights")


def test_where_all_else_was_alike_values_are_compared(open_page, root, keep_screen):
    make_runs(root, [f"a greenhouse, the {number}th" for number in range(4, 10)], values=(4.0, 7.0))
    rate_all(root)
    page = open_page("/insights")
    section = page.get_by_role("region", name="CFG scale")
    row = section.get_by_role("row").filter(has=page.get_by_role("rowheader", name="7 over 4", exact=True))
    expect(row).to_contain_text("observational")
    expect(row).to_contain_text(re.compile(r"\+\d\.\d\d \("))
    keep_screen(page, "insights-compared")


def test_two_settings_are_shown_together_and_each_cell_leads_to_its_images(open_page, root, keep_screen):
    for sampler in ("Heun", "LMS"):
        make_runs(root, [f"a quay with {sampler}"], sampler=sampler)
    rate_all(root)
    page = open_page("/insights")
    section = page.get_by_role("region", name="Two settings together")
    expect(section.get_by_label("Across")).to_have_value(CFG)
    expect(section.get_by_role("columnheader")).to_have_text(["4", "5", "7", "10"])
    keep_screen(page, "insights-together")
    section.get_by_label("Down").select_option(CFG)
    expect(section.get_by_label("Across")).to_have_value("txt2img.sampler")
    expect(section.get_by_role("columnheader")).to_have_text(["Euler a", "Heun", "LMS"])
    row = section.get_by_role("row").filter(has=page.get_by_role("rowheader", name="5"))
    row.get_by_role("cell").nth(1).get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"cfg%3A5(%20|\+)sampler%3A%22Heun%22"))
    expect(page.locator(".cell:not([hidden])")).to_have_count(1)


def test_each_value_leads_to_its_images(open_page, root):
    rate_all(root)
    page = open_page("/insights")
    page.get_by_role("region", name="CFG scale").get_by_role("link", name="10", exact=True).click()
    expect(page).to_have_url(re.compile(r"/\?q=cfg%3A10"))
    expect(page.locator(".cell:not([hidden])")).to_have_count(4)


def test_only_the_runs_that_were_asked_for_count(open_page, root):
    rate_all(root)
    page = open_page("/insights")
    expect(page.get_by_text("12 rated images")).to_be_visible()
    page.get_by_label("Runs", exact=True).fill("harbour")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile(r"/insights\?q=harbour"))
    expect(page.get_by_text("3 rated images")).to_be_visible()


def test_what_is_rated_meanwhile_counts_at_the_next_look(open_page, root, server, run_ids):
    page = open_page("/insights")
    expect(page.get_by_text("No image of these runs is rated yet")).to_be_visible()
    server.run("rate", run_ids[0], "0/0", "4")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("All rated images have the same settings")).to_be_visible()


def test_a_server_that_comes_back_is_asked_again(open_page, root, server):
    open_page.tolerated = GONE
    page = open_page("/insights")
    expect(page.get_by_text("No image of these runs is rated yet")).to_be_visible()
    server.kill()
    expect(page.locator("#connection")).to_be_visible()
    rate_all(root)
    server.restart()
    expect(page.get_by_text("12 rated images")).to_be_visible()


def test_an_answer_that_comes_after_the_news_changes_nothing(open_page, root):
    rate_all(root)
    page = open_page("/health")

    def answer_late(route):
        answer = route.fetch()
        page.wait_for_timeout(1500)
        route.fulfill(response=answer)

    page.route("**/api/insights*", answer_late)
    with page.expect_response("**/api/insights*"):
        page.get_by_role("link", name="Insights").click()
        expect(page.get_by_text("12 rated images")).to_be_visible()
    page.wait_for_timeout(200)
    expect(page.get_by_text("12 rated images")).to_be_visible()


@pytest.mark.only_reads
def test_a_search_that_is_none_is_refused_with_the_reason(open_page, root):
    open_page.tolerated = "422"
    page = open_page("/insights?q=colour:red")
    expect(page.get_by_role("alert")).to_contain_text("colour")


def test_whoever_may_only_look_on_sees_them_too(open_page, root, server):
    rate_all(root)
    server.stop()
    server.options = ("--port", str(server.port), "--read-only")
    server.start()
    page = open_page("/insights")
    expect(page.get_by_text("12 rated images")).to_be_visible()
    expect(page.get_by_role("region", name="CFG scale")).to_be_visible()
