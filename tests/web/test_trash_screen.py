"""The trash: what is in it, and taking it out."""

import re

from stablenew import RunStore
from tests.web.browser import expect


def test_an_image_is_restored_by_one_click_and_the_page_follows(open_page, server, root, run_ids):
    outputs = [output for _, output in RunStore(root).open(run_ids[0]).iter_outputs()]
    for output in outputs[:2]:
        server.run("trash", "add", output.digest)
    page = open_page("/trash")
    images = page.locator(".trash-list li")
    expect(images).to_have_count(2)
    images.first.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("1 image restored from the trash")).to_be_visible()
    expect(images).to_have_count(1)
    expect(images.first.get_by_role("button", name="Restore")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The trash is empty.")).to_be_visible()
    expect(page.get_by_role("heading", name="Trash")).to_be_focused()
    page.get_by_role("link", name="the wall").click()
    expect(page).to_have_url(re.compile(r"/$"))
