import pytest

from stablenew.errors import ConfigError
from stablenew.store.source_roots import SourceRoots


@pytest.fixture
def roots(tmp_path):
    return SourceRoots(tmp_path / "runs")


def make(folder):
    folder.mkdir(parents=True)
    return folder


def test_a_folder_is_one_source_however_often_it_is_added(roots, tmp_path):
    folder = make(tmp_path / "a" / "b")
    root = roots.add(folder.parent)
    assert roots.add(folder.parent) == root
    assert roots.add(folder) == root, "it lies in it"
    assert roots.list() == [root]


def test_a_folder_around_a_source_is_refused(roots, tmp_path):
    inner = roots.add(make(tmp_path / "a" / "b"))
    with pytest.raises(ConfigError, match=f"sources remove {inner.id}"):
        roots.add(tmp_path / "a")


def test_sources_of_one_store_are_none_of_another(roots, tmp_path):
    roots.add(make(tmp_path / "a"))
    assert SourceRoots(tmp_path / "other").list() == []


def test_a_source_that_another_machine_added_can_be_placed_here(roots, tmp_path):
    root = roots.move("0a1b2c3d4e", make(tmp_path / "share"))
    assert roots.find("0a1b2c3d4e") == root


def test_removing_forgets_and_an_unknown_one_is_named(roots, tmp_path):
    root = roots.add(make(tmp_path / "a"))
    roots.remove(root.id)
    assert roots.list() == []
    with pytest.raises(ConfigError, match="there are none"):
        roots.remove(root.id)


def test_a_damaged_list_is_named(roots, tmp_path):
    roots.add(make(tmp_path / "a"))
    roots._file.write_bytes(b"{")
    with pytest.raises(ConfigError, match="mend or remove it"):
        roots.list()


def test_what_cannot_be_the_id_of_a_source_is_not_taken_for_one(roots, tmp_path):
    known = roots.add(make(tmp_path / "pictures"))
    with pytest.raises(ConfigError, match=f"no source 'pictures'; there are {known.id}"):
        roots.move("pictures", make(tmp_path / "elsewhere"))
    assert [root.path for root in roots.list()] == [tmp_path / "pictures"]
