"""Where the folder that records inside a program goes, and that it goes away again."""

import pytest

from stablenew.cli.main import _run

PROGRAMS = {
    "webui": ("extensions", "webui.py"),
    "comfyui": ("custom_nodes", "main.py"),
}


def make_program(folder, tool):
    place, sign = PROGRAMS[tool]
    (folder / place).mkdir(parents=True)
    (folder / sign).write_text("")
    return folder


def engines(*arguments):
    return _run(["engines", *map(str, arguments)])


@pytest.mark.parametrize("tool", PROGRAMS)
def test_what_was_installed_is_uninstalled_and_nothing_else(tool, tmp_path):
    program = make_program(tmp_path / "program", tool)
    before = sorted(program.rglob("*"))
    assert engines("install", tool, program) == 0
    hook = program / PROGRAMS[tool][0] / "stablenew-recorder"
    assert (hook / "stablenew.json").is_file()
    (hook / "__pycache__").mkdir()
    (hook / "__pycache__" / "stablenew_bridge.pyc").write_bytes(b"")
    assert engines("uninstall", tool, program) == 0
    assert sorted(program.rglob("*")) == before


def test_the_place_itself_will_do_for_both(tmp_path):
    place = make_program(tmp_path / "ComfyUI", "comfyui") / "custom_nodes"
    assert engines("install", "comfyui", place) == 0
    assert (place / "stablenew-recorder" / "__init__.py").is_file()
    assert engines("uninstall", "comfyui", place) == 0
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("tool", "of", "words"),
    [
        ("comfyui", None, "there is no such folder"),
        ("comfyui", "webui", "it has no custom_nodes"),
        ("webui", "comfyui", "it has no extensions"),
    ],
)
def test_a_folder_of_no_such_program_is_refused_and_left_as_it_is(tool, of, words, tmp_path, capsys):
    folder = make_program(tmp_path / "program", of) if of else tmp_path / "program"
    before = sorted(tmp_path.rglob("*"))
    assert engines("install", tool, folder) != 0
    said = capsys.readouterr().err
    assert f"is not the folder of {tool}: expected a folder {PROGRAMS[tool][0]} in it" in said
    assert words in said
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_has_only_the_place_is_no_program(tmp_path, capsys):
    (tmp_path / "extensions").mkdir()
    assert engines("install", "webui", tmp_path) != 0
    assert "it has none of those" in capsys.readouterr().err


def test_files_that_are_not_ours_stay_and_are_named(tmp_path, capsys):
    program = make_program(tmp_path / "ComfyUI", "comfyui")
    assert engines("install", "comfyui", program) == 0
    note = program / "custom_nodes" / "stablenew-recorder" / "note.txt"
    note.write_text("mine")
    assert engines("uninstall", "comfyui", program) == 0
    assert "note.txt" in capsys.readouterr().err
    assert [path.name for path in note.parent.iterdir()] == ["note.txt"]


def test_where_nothing_is_installed_nothing_is_removed(tmp_path, capsys):
    program = make_program(tmp_path / "ComfyUI", "comfyui")
    before = sorted(program.rglob("*"))
    assert engines("uninstall", "comfyui", program) != 0
    assert "nothing of comfyui to uninstall" in capsys.readouterr().err
    assert sorted(program.rglob("*")) == before
