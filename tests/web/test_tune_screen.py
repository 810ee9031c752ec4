"""Tune: the best settings known, what each does, and what to try next."""

import re

from tests.web.browser import expect
from tests.web.serving import make_runs, rate_all


def test_before_anything_is_rated_a_first_round_is_proposed(open_page, root):
    page = open_page("/tune?over=cfg%3D3..12,steps%3D10..40&size=6")
    page.get_by_role("heading", name="The next round").wait_for()
    rows = page.get_by_role("region", name="The next round").get_by_role("row")
    expect(rows).to_have_count(4, timeout=30_000)
    expect(rows.nth(0)).to_contain_text("CFG scale")
    expect(rows.nth(1)).to_contain_text("random")
    expect(page.get_by_text("stablenew learn next --over cfg=3..12,steps=10..40 --batch 6 --run")).to_be_visible()
    waiting = page.get_by_role("group", name="Not rated yet", exact=True)
    expect(waiting.get_by_role("img")).to_have_count(3)


def test_with_ratings_it_shows_the_best_settings_their_curves_and_what_is_left(open_page, root, keep_screen):
    make_runs(root, [f"a greenhouse, the {number}th" for number in range(4, 10)], values=(4.0, 7.0), sampler="Heun")
    rate_all(root)
    page = open_page("/tune")
    best = page.get_by_role("region", name="Best so far")
    expect(best).to_contain_text("CFG scale", timeout=30_000)
    expect(best).to_contain_text(re.compile(r"Still to gain: \d\.\d\d stars"))
    curves = page.get_by_role("region", name="What each setting does")
    expect(curves.get_by_role("img", name=re.compile("CFG scale: best at"))).to_be_visible()
    expect(curves.get_by_role("rowheader", name="Heun")).to_be_visible()
    keep_screen(page, "tune")
    best.get_by_role("link", name="New run with these settings").click()
    expect(page).to_have_url(re.compile("/new"))
    expect(page.get_by_label("CFG scale")).to_have_value(re.compile(r"^\d"))


def test_in_a_store_of_images_of_many_sizes_it_says_what_is_kept(open_page, root):
    make_runs(root, ["a greenhouse, the 4th"], values=(4.0, 7.0), size=80)
    page = open_page("/tune")
    coming = page.get_by_role("region", name="The next round")
    expect(coming).to_contain_text(re.compile(r"One kind of image, that of \d+ of \d+ images: "), timeout=30_000)
    expect(coming.get_by_role("columnheader", name="Width")).to_have_count(0)


def test_ranges_are_given_in_the_form_and_nonsense_is_named(open_page, root):
    rate_all(root)
    page = open_page("/tune")
    page.get_by_label("Tune").fill("cfg=9..3")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("alert")).to_contain_text("the lower number first", timeout=30_000)
    page.get_by_label("Tune").fill("cfg=3..9")
    page.get_by_label("a round of").select_option("8")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("region", name="The next round").get_by_role("row")).to_have_count(9, timeout=30_000)
