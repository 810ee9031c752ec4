"""What happens reaches every open page once, in order; a page that has stopped reading is told to read anew."""

import asyncio
import json

import pytest

from stablenew.web.events import LiveHub
from tests.coroutines import run_coroutine


def parse(data):
    """The events in a part of a stream, as name and data."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = dict(line.partition(": ")[::2] for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def read_after(publish, *, selects=(None,), parts=1):
    """What each page got of what `publish` does with the hub, in so many parts."""

    async def run():
        hub = LiveHub()
        hub.open(asyncio.get_running_loop())
        pages = [hub.stream(select) for select in selects]
        for page in pages:
            assert parse(await anext(page)) == [("hello", {})]
        await asyncio.to_thread(publish, hub)
        await asyncio.sleep(0)
        found = [[event for _ in range(parts) for event in parse(await anext(page))] for page in pages]
        for page in pages:
            await page.aclose()
        assert hub._pages == set()
        return found

    return run_coroutine(run())


def test_events_of_any_thread_reach_every_page_in_order():
    def publish(hub):
        for number in range(3):
            hub.publish("task", {"number": number, "text": "café\n\nevent: x"})

    found = read_after(publish, selects=(None, None))
    assert found[0] == found[1]
    assert [data["number"] for _, data in found[0]] == [0, 1, 2]
    assert found[0][0][1]["text"] == "café\n\nevent: x"


def test_of_events_with_one_key_that_wait_the_last_is_sent_behind_those_before_it():
    def publish(hub):
        hub.publish("job", 1, key="a")
        hub.publish("job", 2, key="b")
        hub.publish("job", 3, key="a")
        hub.publish("news", 4)
        hub.publish("news", 5)

    assert read_after(publish) == [[("job", 2), ("job", 3), ("news", 4), ("news", 5)]]


def test_a_page_gets_the_part_of_an_event_that_it_may_have():
    def select(event, data):
        return {"shown": data["shown"]} if event == "changes" else None

    def publish(hub):
        hub.publish("news", {"secret": 1})
        hub.publish("changes", {"shown": 2, "secret": 3})

    whole, part = read_after(publish, selects=(None, select))
    assert part == [("changes", {"shown": 2})]
    assert [event for event, _ in whole] == ["news", "changes"]


@pytest.mark.parametrize(("count", "is_reset"), [(1_000, False), (1_001, True)])
def test_a_page_that_has_stopped_reading_is_told_to_read_everything_anew(count, is_reset):
    def publish(hub):
        for number in range(count):
            hub.publish("news", number)

    (found,) = read_after(publish)
    reset = ("changes", {"changes": [], "jobs": {}, "is_reset": True})
    assert (found == [reset]) == is_reset
    assert len(found) == (1 if is_reset else count)


def test_what_comes_after_such_a_reset_is_sent_too():
    def publish(hub):
        for number in range(1_002):
            hub.publish("news", number)

    (found,) = read_after(publish)
    assert [event for event, _ in found] == ["changes", "news"]


def test_closing_ends_every_stream():
    async def run():
        hub = LiveHub()
        hub.open(asyncio.get_running_loop())
        page = hub.stream()
        await anext(page)
        waiting = asyncio.ensure_future(anext(page))
        await asyncio.sleep(0)
        hub.close()
        last = await waiting
        return last, [part async for part in page]

    assert run_coroutine(run()) == (b": still here\n\n", [])


def test_publishing_to_nobody_or_after_the_end_is_no_error():
    hub = LiveHub()
    hub.publish("news", object())

    async def run():
        hub.open(asyncio.get_running_loop())
        page = hub.stream()
        await anext(page)
        return page

    page = run_coroutine(run())
    hub.publish("news", 1)
    assert page is not None
