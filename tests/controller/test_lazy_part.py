"""Parts that are made when they are first used, once."""

import threading

import pytest

from stablenew.controller.lazy_part import LazyPart


class Owner:
    """An object with a part, another part that needs it, and one that cannot be made at first."""

    def __init__(self):
        self.guard = threading.RLock()
        self.made = []
        self.is_broken = True

    @LazyPart
    def part(self):
        """A part."""
        self.made.append("part")
        return object()

    @LazyPart
    def whole(self):
        return (self.part, self.part)

    @LazyPart
    def fragile(self):
        self.made.append("fragile")
        if self.is_broken:
            raise OSError("not yet")


def test_a_part_is_made_at_its_first_use_and_kept():
    owner = Owner()
    assert owner.made == []
    assert owner.part is owner.part
    assert owner.made == ["part"]
    assert Owner().part is not owner.part


def test_a_part_may_need_another_one():
    owner = Owner()
    assert owner.whole == (owner.part, owner.part)
    assert owner.made == ["part"]


def test_a_part_that_could_not_be_made_is_made_at_the_next_use_also_where_it_is_none():
    owner = Owner()
    with pytest.raises(OSError, match="not yet"):
        _ = owner.fragile
    owner.is_broken = False
    assert owner.fragile is owner.fragile is None
    assert owner.made == ["fragile", "fragile"]


def test_threads_that_ask_at_once_get_the_same_part():
    owner, found = Owner(), []
    barrier = threading.Barrier(8)

    def ask():
        barrier.wait()
        found.append(owner.part)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert owner.made == ["part"]


def test_the_class_says_what_the_part_is():
    assert Owner.part.__doc__ == "A part."
