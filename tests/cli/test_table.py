"""Tables fit the terminal: what matters stays, the rest is cut, wrapped or left out."""

from hypothesis import given
from hypothesis import strategies as st

from stablenew.cli.table import UNLIMITED, Column, cell_width, cut, lay_out, wrap

COLUMNS = (
    "run",
    "prompt",
    "seed",
)
ROWS = [("a1", "a quiet harbour at dawn, oil on canvas", "123456"), ("b2", "港の夜明け", "7")]
DESCRIBED = (Column("run"), Column("prompt", least=8), Column("seed", rank=1, is_right=True))


def lines(width, columns=DESCRIBED, rows=ROWS):
    return list(lay_out(columns, rows, width, is_styled=False).lines)


def test_in_a_file_nothing_is_cut():
    assert lines(UNLIMITED) == [
        "run  prompt                                    seed",
        "a1   a quiet harbour at dawn, oil on canvas  123456",
        "b2   港の夜明け                                   7",
    ]


def test_in_a_file_one_long_cell_makes_no_other_row_longer():
    long = "a quiet harbour " * 40
    shown = lines(UNLIMITED, rows=[*ROWS, ("c3", long, "5")])
    assert long.strip() in shown[-1]
    assert max(map(cell_width, shown[:-1])) < 80


def test_the_column_that_may_shrink_gives_way_first():
    shown = lines(30)
    assert [cell_width(line) for line in shown] == [30, 30, 30]
    assert shown[1] == "a1   a quiet harbour…   123456"


def test_a_column_of_lower_rank_is_left_out_when_it_does_not_fit_and_named():
    table = lay_out(DESCRIBED, ROWS, 18, is_styled=False)
    assert table.left_out == ("seed",)
    assert all(cell_width(line) <= 18 for line in table.lines)
    assert "a quiet" in table.lines[1]


def test_long_values_wrap_at_blanks_and_lose_no_word():
    words = "one two three four five six seven eight nine ten eleven twelve"
    shown = lines(32, (Column(), Column(is_wrapped=True)), [("name", words)])
    assert all(cell_width(line) <= 32 for line in shown)
    assert len(shown) > 1
    assert " ".join(" ".join(shown).split()) == f"name {words}"


def test_a_newline_in_a_cell_does_not_break_a_row():
    assert len(lines(UNLIMITED, rows=[("a1", "two\nlines", "1")])) == 2


def test_wide_characters_take_two_cells_and_marks_none():
    assert [cell_width(text) for text in ("ab", "港", "é", "e\u0301", "😀", "")] == [2, 2, 1, 1, 2, 0]
    assert cut("港の夜明け", 5) == "港の…"


@given(st.text(max_size=60), st.integers(1, 40))
def test_nothing_that_is_cut_is_wider_than_asked(text, width):
    assert cell_width(cut(text, width)) <= width


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=80), st.integers(2, 30))
def test_wrapping_keeps_every_character(text, width):
    assert "".join(wrap(text, width)) == text


def test_a_path_that_is_too_long_for_its_column_stays_whole():
    assert list(wrap("see /a/very/long/path/that/does/not/fit there", 12)) == [
        "see",
        "/a/very/long/path/that/does/not/fit",
        "there",
    ]


_TEXT = st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=12), max_size=6).map(" ".join)


@given(st.lists(st.tuples(_TEXT, _TEXT, _TEXT), min_size=1, max_size=4), st.integers(45, 90))
def test_a_table_of_which_everything_may_give_way_fits(rows, width):
    columns = (Column("a", least=4), Column("b", rank=1), Column("c", is_wrapped=True))
    assert all(cell_width(line) <= width for line in lay_out(columns, rows, width, is_styled=False).lines)
