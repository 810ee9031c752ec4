"""What commands print, as functions: numbers for people, run ids, what a stream can show."""

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablenew.cli.console import (
    Output,
    bar,
    format_bytes,
    format_duration,
    plural,
    printable,
    shorten_ids,
    shown_ids,
)
from stablenew.cli.history_command import format_stars
from stablenew.cli.images_command import format_rating
from stablenew.cli.streams import is_styled, prepare_streams, terminal_width, write_json
from stablenew.cli.table import UNLIMITED, Column


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """Makes standard output a terminal with colours; to be called in the test, for pytest has its own before."""

    def open_one():
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("WT_SESSION", "1")
        monkeypatch.setattr(sys, "stdout", Terminal())
        return sys.stdout

    return open_one


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""), (0, "0.00 s"), (0.4249, "0.42 s"), (9.99, "9.99 s"), (9.999, "10 s"), (10, "10 s"), (33.4, "33 s"),
        (59.4, "59 s"), (59.6, "1 min 0 s"), (250, "4 min 10 s"), (3599.6, "1 h 0 min"), (7500, "2 h 5 min"),
        (400_000, "111 h 6 min"),
    ],
)  # fmt: skip
def test_a_duration_has_the_units_of_people(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"), (1, "1 byte"), (512, "512 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1449, "1.4 kB"),
        (999_949, "999.9 kB"), (999_999, "1.0 MB"), (1_000_000, "1.0 MB"), (2_500_000_000, "2.5 GB"),
        (999_999_999_999, "1.0 TB"), (12 * 10**15, "12000.0 TB"),
    ],
)  # fmt: skip
def test_a_size_has_powers_of_ten(size, text):
    assert format_bytes(size) == text


@given(st.integers(0, 10**14))
def test_a_size_never_shows_a_thousand_of_a_unit_that_has_a_larger_one(size):
    number, _, unit = format_bytes(size).partition(" ")
    assert float(number) < 1000
    assert unit in ("byte", "bytes", "kB", "MB", "GB", "TB")


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, ""), (1, "████"), (0.5, "██"), (-3, ""), (7, "████"), (1 / 32, "▏"), (0.9, "███▋"), (0.001, "")],
)
def test_a_bar_is_as_long_as_its_share_in_eighths(share, expected):
    assert bar(share, 4) == expected


def test_one_is_not_several():
    assert [plural(count, "run") for count in (0, 1, 2, 12_345)] == ["0 runs", "1 run", "2 runs", "12,345 runs"]


@given(st.text())
def test_no_control_character_is_printed_but_the_newline(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(character == "\n" or character.isprintable() or ord(character) > 0x9F for character in shown)


@pytest.mark.parametrize("code", [0, 7, 8, 9, 13, 27, 127, 0x85, 0x9B, 0x202E, 0x2066, 0x2069])
def test_what_steers_a_terminal_or_turns_text_around_is_replaced(code):
    assert printable(f"a{chr(code)}b") == "a\ufffdb"


RUN_IDS = ["20261128-132317-338-a1b2c3", "20261128-132317-339-a1b2c3", "20261128-132317-339-ffffff", "my-run"]


def test_run_ids_lose_their_random_end_where_no_other_begins_alike():
    assert shorten_ids(RUN_IDS) == ["20261128-132317-338", *RUN_IDS[1:]]
    assert shorten_ids([]) == []
    assert shorten_ids(["20261128-132317-33-a1b2c3"]) == ["20261128-132317-33-a1b2c3"], "not made by the clock"


def test_run_ids_are_whole_in_a_pipe_and_short_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert shown_ids(RUN_IDS) == RUN_IDS
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert shown_ids(RUN_IDS)[0] == "20261128-132317-338"


@pytest.mark.parametrize(
    ("rating", "text"),
    [
        (None, ""),
        (0, "☆☆☆☆☆"),
        (4, "★★★★☆"),
        (5.0, "★★★★★"),
        (3.5, "★★★★☆ 3.5"),
        (3.49, "★★★☆☆ 3.5"),
        (0.4, "☆☆☆☆☆ 0.4"),
    ],
)
def test_an_image_shows_its_mean_where_raters_differ(rating, text):
    assert format_rating(rating) == text


@pytest.mark.parametrize(
    ("rating", "best", "text"), [(4, 5, "★★★★☆"), (None, 5, "best ★★★★★"), (None, None, ""), (0, 5, "☆☆☆☆☆")]
)
def test_a_job_shows_its_own_stars_before_those_of_its_images(rating, best, text):
    assert format_stars({"rating": rating, "best_rating": best}) == text


@pytest.mark.parametrize(
    ("options", "printed", "said"),
    [({}, "hello\n", ""), ({"is_quiet": True}, "", ""), ({"is_json": True}, '{\n  "a": 1\n}\n', "")],
)
def test_people_read_text_and_programs_json(capsys, options, printed, said):
    out = Output(**options)
    out.print("hello")
    out.json({"a": 1})
    assert capsys.readouterr() == (printed, said)


@pytest.mark.parametrize("options", [{}, {"is_quiet": True}, {"is_json": True}])
def test_a_warning_is_always_said_beside_the_output(capsys, options):
    Output(**options).warn("careful\x1b[31m")
    assert capsys.readouterr() == ("", "stablenew: careful\ufffd[31m\n")


def test_a_table_without_rows_or_for_programs_prints_nothing(capsys):
    Output().table(["a"], [])
    Output(is_json=True).table(["a"], [["b"]])
    Output(is_quiet=True).facts([("a", "b")])
    assert capsys.readouterr() == ("", "")


def test_a_table_shows_its_head_and_no_control_characters(capsys):
    Output().table(["name", "value"], [["a\x07", "b"]])
    assert capsys.readouterr().out.splitlines()[0].split() == ["name", "value"]
    Output().facts([("a\x07", "b")])
    assert capsys.readouterr().out.split() == ["a\ufffd", "b"]


def test_columns_for_which_a_terminal_has_no_room_are_named(open_terminal, monkeypatch):
    terminal = open_terminal()
    monkeypatch.setenv("COLUMNS", "20")
    Output().table(["name", Column("other", rank=1)], [["n" * 15, "o" * 15]])
    assert "(no room for other in 20 columns)" in terminal.getvalue()
    assert "ooo" not in terminal.getvalue()


@pytest.mark.parametrize(("style", "text"), [("1", "\x1b[1mhello\x1b[0m\n"), (None, "hello\n")])
def test_styles_are_for_terminals(open_terminal, monkeypatch, style, text):
    terminal = open_terminal()
    Output().print("hello", style=style)
    assert terminal.getvalue() == text
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    Output().print("hello", style=style)
    assert sys.stdout.getvalue() == "hello\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_whoever_wants_no_colours_gets_none(open_terminal, monkeypatch, name, value):
    terminal = open_terminal()
    assert is_styled(terminal)
    monkeypatch.setenv(name, value)
    assert not is_styled(terminal)


def test_a_file_is_as_wide_as_need_be(monkeypatch):
    monkeypatch.setenv("COLUMNS", "33")
    assert (terminal_width(io.StringIO()), terminal_width(Terminal())) == (UNLIMITED, 33)


def test_work_is_done_whether_or_not_somebody_watches(capsys):
    def work(progress):
        progress(1, 3)
        progress(3, 0)
        return "done"

    assert Output().with_bar("Counting", work) == "done"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("value", [{"a": "ä☆港"}, ["\ud83d\ude00", 1.5, None], "\ufffd"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
def test_json_is_the_same_value_in_every_encoding(monkeypatch, encoding, value):
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding, write_through=True))
    write_json(value)
    assert json.loads(buffer.getvalue().decode(encoding)) == json.loads(json.dumps(value))


def test_signs_that_an_encoding_lacks_have_stand_ins(monkeypatch):
    streams = {name: io.BytesIO() for name in ("stdout", "stderr")}
    for name, buffer in streams.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(buffer, encoding="ascii", write_through=True))
    prepare_streams()
    Output().print("★★☆ 港 — …", bar(0.6, 2))
    assert streams["stdout"].getvalue() == b"**- ? - ...\n#-\n"
