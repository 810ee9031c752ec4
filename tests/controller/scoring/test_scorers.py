"""Scorers by what the user calls them: that very file, an installed module, or one that is built in."""

import os
import sys

import pytest
from PIL import Image

from stablenew.controller.scoring.scorers import load_scorer, scorer_names
from stablenew.errors import ConfigError

PICTURE = Image.new("RGB", (4, 3))
FACTS = {"prompt": "a quay"}


@pytest.fixture
def load(tmp_path):
    """The scorer that is a function of a file with some source."""

    def load(source, function="score", name="mine.py"):
        (tmp_path / name).write_text(source)
        return load_scorer(f"{tmp_path / name}:{function}")

    return load


@pytest.mark.parametrize(
    "source",
    [
        "def score(image):\n    return image.width",
        "def score(image, facts):\n    return image.width",
        "def score(image, facts=None, *, more=1):\n    return image.width",
        "def score(*both):\n    return both[0].width",
        "score = lambda image: image.width",
        "class score:\n    def __call__(self, image):\n        return image.width",
        "class score:\n    def __init__(self): self.n = 4\n    def __call__(self, image, facts): return self.n",
    ],
)
def test_a_function_or_an_object_may_take_the_picture_alone_or_what_is_known_of_it_too(load, source):
    assert load(source).score(PICTURE, FACTS) == 4


def test_what_is_known_of_a_picture_reaches_the_scorer(load):
    assert load("def score(image, facts):\n    return len(facts['prompt'])").score(PICTURE, FACTS) == 6


def test_a_class_is_made_once(load):
    scorer = load(
        "made = []\nclass score:\n    def __init__(self): made.append(1)\n    def __call__(self, i): return len(made)"
    )
    assert [scorer.score(PICTURE, FACTS) for _ in range(3)] == [1, 1, 1]


def test_a_file_is_known_by_its_bytes_also_when_it_changes_within_the_same_second(load, tmp_path):
    first = load("def score(image): return 1")
    os.utime(tmp_path / "mine.py", ns=(5, 5))
    second = load("def score(image): return 2")
    os.utime(tmp_path / "mine.py", ns=(5, 5))
    assert (first.score(PICTURE, FACTS), second.score(PICTURE, FACTS)) == (1, 2)
    assert first.identity != second.identity
    assert load("def score(image): return 1").identity == first.identity
    assert first.identity.startswith("mine.py:score ")


@pytest.mark.parametrize(
    ("function", "metric"), [("score", "score"), ("My_Score", "my_score"), ("größe", "gr-e"), ("_", "score")]
)
def test_a_metric_is_named_by_the_function_in_letters_that_queries_have(load, function, metric):
    found = load(f"def {function}(image): return 1", function).metric
    assert found.isascii()
    assert found == found.lower()
    assert found == metric or "gr" in metric


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def score(", "cannot be loaded: SyntaxError"), ("import nothing_like_it", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit: 3"), ("x = 1", "has no function 'score'"),
        ("score = 7", "has no function 'score'"), ("class score:\n    def __init__(self): 1 / 0", "ZeroDivisionError"),
        ("class score:\n    def __init__(self, more): pass", "TypeError"), ("\0", "cannot be loaded"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_scorer_says_why(load, source, words):
    with pytest.raises(ConfigError, match=words):
        load(source)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "no scorer 'nothing'; there are colourfulness, contrast"), ("", "no scorer ''"),
        ("gone.py:score", "cannot be read: No such file"), ("mine.py:", "cannot be read|has no function"),
        ("nothing_like_it:score", "no module 'nothing_like_it' is installed; a file is FILE.py:function"),
        ("os.nothing:score", "no module 'os.nothing' is installed"), ("os:nothing", "os has no function 'nothing'"),
        (":", "cannot be loaded"), (".os:x", "cannot be loaded"),
    ],
)  # fmt: skip
def test_a_name_that_means_no_scorer_is_refused_with_what_there_is(name, words):
    with pytest.raises(ConfigError, match=words):
        load_scorer(name)


def test_a_function_of_an_installed_module_is_known_with_its_version():
    assert load_scorer("PIL.ImageOps:grayscale").identity == "PIL.ImageOps:grayscale"
    assert load_scorer("numpy:mean").identity.startswith("numpy:mean ")


def test_a_module_of_the_current_folder_is_none_that_is_installed(tmp_path, monkeypatch):
    (tmp_path / "mymodule.py").write_text("def score(image): return 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    before = sys.path[:]
    with pytest.raises(ConfigError, match="no module 'mymodule' is installed"):
        load_scorer("mymodule:score")
    assert sys.path == before


def test_a_file_imports_nothing_from_the_current_folder(load, tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="No module named 'beside'"):
        load("import beside\ndef score(image): return 1")


@pytest.mark.parametrize("name", ["sharpness", "contrast", "colourfulness"])
def test_what_is_built_in_measures_pictures_of_any_size_and_kind(name):
    scorer = load_scorer(name)
    assert name in scorer_names()
    assert (scorer.metric, scorer.identity) == (name, f"stablenew.{name} 1")
    for mode in ("RGB", "L", "RGBA", "P", "1"):
        for size in ((1, 1), (2, 5), (64, 48), (2_000, 3)):
            assert scorer.score(Image.new(mode, size), {}) == 0


def test_what_is_built_in_measures_what_its_name_says():
    halves = Image.new("L", (64, 64))
    halves.paste(255, (0, 0, 32, 64))
    blurred = halves.resize((8, 8)).resize((64, 64), Image.Resampling.BICUBIC)
    assert load_scorer("contrast").score(halves, {}) == pytest.approx(0.5)
    assert load_scorer("sharpness").score(halves, {}) > load_scorer("sharpness").score(blurred, {}) > 0
    red = Image.new("RGB", (64, 64), "red")
    assert load_scorer("colourfulness").score(red, {}) > 50
    assert halves.size == (64, 64), "the picture is left as it was"
