import pytest

from stablenew.errors import PromptPackError
from stablenew.pipeline.pack_library import PackLibrary, build_typed_pack, read_sample_pack


@pytest.fixture
def library(tmp_path):
    for name in ("boats.txt", "lakes.json", "lakes.txt", "hills.tsv", "notes.md"):
        (tmp_path / name).write_text('{"pack_data": {"slots": [{"text": "a lake"}]}}' if "json" in name else "a boat\n")
    (tmp_path / "folder.txt").mkdir()
    return PackLibrary(tmp_path)


def test_packs_are_the_files_of_a_folder_and_the_samples(library, tmp_path):
    assert library.names() == ["boats.txt", "hills.tsv", "lakes.json", "sample:harbour"]
    assert library.read("boats.txt").prompts[0].positive == "a boat"
    assert library.read("sample:harbour") == read_sample_pack()
    assert PackLibrary(tmp_path / "nowhere").names() == ["sample:harbour"]


@pytest.mark.parametrize("name", ["../boats.txt", "/etc/passwd", "notes.md", "folder.txt", "", "sample:../harbour"])
def test_a_name_never_leads_out_of_the_folder(library, name):
    with pytest.raises(PromptPackError, match="no prompt pack"):
        library.read(name)


def test_what_is_typed_is_a_pack_in_the_form_of_a_txt():
    pack = build_typed_pack("a lake\nneg: blurry\n\na hill")
    assert [(one.positive, one.negative) for one in pack.prompts] == [("a lake", "blurry"), ("a hill", "")]
    with pytest.raises(PromptPackError, match="found none"):
        build_typed_pack("# nothing\n\n")
