import pytest

from stablenew.controller.saved_views import SavedViews
from stablenew.errors import ConfigError


@pytest.fixture
def views(tmp_path):
    return SavedViews(tmp_path / "config" / "views.json")


def test_a_view_is_kept_replaced_and_forgotten(views):
    assert views.read() == {}
    views.put(" Best ", "rating:5")
    views.put("New", "since:1d")
    assert SavedViews(views.path).read() == {"Best": "rating:5", "New": "since:1d"}
    assert views.put("Best", "rating:>=4")["Best"] == "rating:>=4"
    assert views.put("Best", None) == {"New": "since:1d"}
    assert views.put("Best", None) == {"New": "since:1d"}


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_a_name_has_a_length(views, name):
    with pytest.raises(ConfigError, match="1 to 80"):
        views.put(name, "x")
    assert not views.path.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b'{"a": "x"', b"\xff"])
def test_a_file_that_is_none_is_named_and_left_alone(views, content):
    views.path.parent.mkdir()
    views.path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"views\.json"):
        views.put("x", "y")
    assert views.path.read_bytes() == content


def test_there_is_an_end_to_them(views):
    for number in range(200):
        views.put(str(number), "x")
    with pytest.raises(ConfigError, match="at most 200"):
        views.put("one more", "x")
