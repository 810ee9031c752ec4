"""Command lines that take a query: what is a word of it, and what an option."""

from typing import Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from stablenew.cli.history_command import SETTINGS, join_query, read_query
from stablenew.cli.main import hoist_global_options
from stablenew.cli.query_words import QueryCommand


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([], ""),
        (["rating:>=4", "since:7d"], "rating:>=4 since:7d"),
        (["sampler:Euler a"], 'sampler:"Euler a"'),
        (["oil painting"], '"oil painting"'),
        (["-oil painting"], '"-oil painting"'),
        (['sampler:"Euler a" cfg:7'], 'sampler:"Euler a" cfg:7'),
        (["rating:>=4 since:7d"], "rating:>=4 since:7d"),
        (["harbour -fog"], "harbour -fog"),
        (["a harbour", "model:dream shaper"], '"a harbour" model:"dream shaper"'),
    ],
)
def test_quotes_that_the_shell_took_are_put_back(words, query):
    assert join_query(words) == query
    assert read_query(words) == query


def test_no_words_are_a_query_for_everything():
    assert read_query(None) == ""


def test_an_option_that_there_is_not_is_no_word_of_a_query():
    with pytest.raises(typer.BadParameter, match="no such option: --lmit"):
        read_query(["rating:5", "--lmit"])


@pytest.mark.parametrize(
    ("given_args", "expected"),
    [
        (["history", "--json"], ["--json", "history"]),
        (["history", "--runs-dir", "a", "x", "-q"], ["--runs-dir", "a", "-q", "history", "x"]),
        (["history", "--runs-dir=a"], ["--runs-dir=a", "history"]),
        (["history", "--", "--json", "-q"], ["history", "--", "--json", "-q"]),
        (["history", "-h"], ["history", "--help"]),
        (["history", "--", "-h"], ["history", "--", "-h"]),
        (["history", "--runs-dir"], ["--runs-dir", "history"]),
        (["history", "--json=1"], ["history", "--json=1"]),
        ([], []),
    ],
)
def test_global_options_may_stand_anywhere(given_args, expected):
    assert hoist_global_options(given_args) == expected


words = st.sampled_from(["history", "--json", "--runs-dir", "-q", "--", "-h", "a", "--runs-dir=b", "--limit", "-x"])


@given(st.lists(words, max_size=8))
def test_putting_global_options_first_loses_nothing_and_need_be_done_once(args):
    hoisted = hoist_global_options(args)
    assert len(hoisted) == len(args)
    assert hoist_global_options(hoisted) == hoisted


def query_app():
    """A command with a query, an option `-o` with a value and a flag `-v`."""
    app, heard = typer.Typer(), []

    @app.command(cls=QueryCommand, context_settings=SETTINGS)
    def export(
        query: Annotated[list[str] | None, typer.Argument()] = None,
        output: Annotated[str, typer.Option("-o", "--output")] = "",
        verbose: Annotated[bool, typer.Option("-v")] = False,
    ):
        heard.append((query or [], output, verbose))

    def call(*args):
        heard.clear()
        app(args=list(args), standalone_mode=False)
        return heard[0]

    return call


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["-oil"], (["-oil"], "", False)),
        (["-o", "out", "harbour"], (["harbour"], "out", False)),
        (["harbour", "-fog", "-o", "out", "-very"], (["harbour", "-fog", "-very"], "out", False)),
        (["-v", "-model:sd", "x"], (["-model:sd", "x"], "", True)),
        (["--output=out", "-tag:a b"], (["-tag:a b"], "out", False)),
        (["-o", "-odd", "x"], (["x"], "-odd", False)),
        (["x", "--", "-o", "y"], (["x", "-o", "y"], "", False)),
        ([], ([], "", False)),
    ],
)
def test_a_word_with_a_minus_is_a_condition_also_where_it_begins_like_an_option(args, expected):
    query, output, verbose = query_app()(*args)
    assert (sorted(query), output, verbose) == (sorted(expected[0]), *expected[1:])
