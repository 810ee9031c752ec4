"""What every document promises of each field, shown by a table: what it takes and refuses, and what it needs."""

import copy
import re

import pytest

from stablenew.errors import InvalidDocument

DIGEST = "xxh128:" + "0" * 32
SHA256 = "0" * 64
TIME = "2026-11-21T07:10:09.123Z"
CLOCK = f"{TIME}-0000"
LARGEST = 2**53 - 1

TEXT = (["", "words"], [1, ["a"]])
NAME = (["a", "n" * 256], ["", "n" * 257, 1])
SLUG = (["a", "a_1", "s" * 64], ["", "A", "1a", "a-b", "a\n", "s" * 65])
RUN_ID = (["a", "r" * 64], ["", "r" * 65, "a/b", "con", "a\n", 1])
COUNT = ([0, LARGEST], [-1, LARGEST + 1, 1.5, "1", True])
INTEGER = ([-LARGEST, LARGEST], [-LARGEST - 1, LARGEST + 1, 1.5, "1", True])
NUMBER = ([-1e308, 0.5, 1e308], [1.1e308, -1.1e308, "1", True])
SECONDS = ([0, 0.5, 1e300], [-0.1, "1", True])
SEED = ([-1, 0, LARGEST, str(2**64 - 1), str(-(2**60))], ["1", "x", 1.5, True])
RATING = ([0, 5, None], [-1, 6, 3.5, "3", True])
YES_NO = ([True, False], [1, "yes"])
WHEN = ([TIME], ["2026-11-21", "2026-02-29T07:10:09.123Z", 0])
CLOCKS = ([CLOCK, f"{TIME}-ffff"], [TIME, f"{TIME}-FFFF", f"{TIME}-10000", "2026-02-29T07:10:09.123Z-0000"])
DIGESTS = ([DIGEST, "xxh128:" + "f" * 32], ["", DIGEST[:-1], DIGEST.upper(), 0])
SHA256S = ([SHA256, "f" * 64], ["pending", "0" * 63, "F" * 64, SHA256 + "\n"])
OUTPUT_PATH = (
    ["outputs/a.png", "outputs/" + "a" * 120],
    ["a.png", "outputs/../a", "/outputs/a", "outputs/" + "a" * 121],
)
ANY_JSON = ([None, 1, "a", [{"b": [None]}]], [])
OBJECT = ([{}, {"a": [None, {}]}], [[], "x"])
COUNTS = ([{}, {"held_out": 1}], [{"held_out": -1}, {"held_out": "1"}, []])
NAMES = ([[], ["a"]], [[""], "a"])
TEXTS = ([{}, {"seed": "x"}], [{"seed": 1}, []])
EXTENSIONS = ([{}, {"org.example.a": [1]}], [{"Org": 1}, {"a": 1}, []])


def part_at(document, place):
    """The object at a place of the document; `""` is the document itself."""
    for name in filter(None, place.split(".")):
        document = document[int(name) if isinstance(document, list) else name]
    return document


class FieldContract:
    """Subclasses say which document it is, one with every field, what each field takes, and which are needed where.

    A place is a dotted name such as `stages.0.name`. `takes` has for each what may stand there and what is refused;
    `needed` has the fields that a part cannot do without, by the place of the part.
    """

    model = None
    full: dict = {}  # noqa: RUF012  # subclasses replace it
    takes: dict = {}  # noqa: RUF012
    needed: dict = {}  # noqa: RUF012

    @classmethod
    def pytest_generate_tests(cls, metafunc):
        if "taken" in metafunc.fixturenames:
            metafunc.parametrize("taken", cls.takes)
        if "missed" in metafunc.fixturenames:
            metafunc.parametrize("missed", [f"{at}.{name}".lstrip(".") for at in cls.needed for name in cls.needed[at]])

    def changed(self, place, value):
        document = copy.deepcopy(self.full)
        above, _, name = place.rpartition(".")
        part = part_at(document, above)
        part[int(name) if isinstance(part, list) else name] = value
        return document

    def test_what_it_reads_it_writes_as_it_was(self):
        document = self.model.from_dict(self.full)
        assert document.to_dict() == self.full
        assert self.model.from_json(document.encode_document()) == document

    def test_a_field_takes_what_it_may_hold_and_an_error_names_it_for_anything_else(self, taken):
        good, bad = self.takes[taken]
        for value in good:
            assert self.model.from_dict(self.changed(taken, value)).to_dict() == self.changed(taken, value)
        for value in bad:
            with pytest.raises(InvalidDocument, match=rf"{re.escape(taken)}\b"):
                self.model.from_dict(self.changed(taken, value))

    def test_what_it_needs_is_missed_by_name(self, missed):
        document = copy.deepcopy(self.full)
        above, _, name = missed.rpartition(".")
        del part_at(document, above)[name]
        with pytest.raises(InvalidDocument, match=name):
            self.model.from_dict(document)

    def test_it_needs_nothing_else(self):
        document = copy.deepcopy(self.full)
        for place in sorted(self.needed, key=len, reverse=True):
            part = part_at(document, place)
            for name in part.keys() - set(self.needed[place]):
                del part[name]
        assert self.model.from_dict(document).to_dict() == document
