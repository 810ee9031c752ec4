"""Folders of known tools are found where people have them, and nothing else is proposed."""

import sys

import pytest

from stablenew.importing.usual_places import find_places
from tests.importing.images import fill


def found_in(home, *others):
    return {place.path.relative_to(home.resolve()).as_posix(): place.tool for place in find_places(home, others)}


def test_the_output_folders_of_known_tools_are_found(tmp_path):
    places = {
        "stable-diffusion-webui/outputs": "A1111",
        "AI/stable-diffusion-webui-forge/outputs": "Forge",
        "git/automatic/outputs": "SD.Next",
        "ComfyUI_windows_portable/ComfyUI/output": "ComfyUI",
        "Documents/ComfyUI/output": "ComfyUI",
        "invokeai/outputs": "InvokeAI",
        "Fooocus/outputs": "Fooocus",
        "apps/RuinedFooocus/outputs": "RuinedFooocus",
        "SwarmUI/Output": "SwarmUI",
        "Documents/StabilityMatrix/Images": "Stability Matrix",
        "StabilityMatrix/Data/Packages/reForge/outputs": "Forge",
        "pinokio/api/comfyui.git/app/output": "ComfyUI",
    }
    for name in places:
        fill(tmp_path / name / "2026-11-28", 1)
    assert found_in(tmp_path) == places


def test_the_most_images_come_first_and_those_of_nobody_last(tmp_path):
    fill(tmp_path / "ComfyUI" / "output", 2)
    fill(tmp_path / "SwarmUI" / "Output" / "me", 5)
    fill(tmp_path / "Pictures", 9)
    places = find_places(tmp_path, [])
    assert [(place.tool, place.image_count) for place in places] == [("SwarmUI", 5), ("ComfyUI", 2), ("", 9)]


def test_folders_without_images_and_of_other_programs_are_not_proposed(tmp_path):
    (tmp_path / "ComfyUI" / "output").mkdir(parents=True)
    (tmp_path / "SwarmUI" / "Output").mkdir(parents=True)
    (tmp_path / "SwarmUI" / "Output" / "notes.txt").write_text("x")
    fill(tmp_path / "holidays" / "outputs", 3)
    assert found_in(tmp_path) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_folder_that_two_names_lead_to_is_proposed_once(tmp_path):
    fill(tmp_path / "Documents" / "StabilityMatrix" / "Images", 2)
    package = tmp_path / "Documents" / "StabilityMatrix" / "Data" / "Packages" / "ComfyUI"
    package.mkdir(parents=True)
    (package / "output").symlink_to(tmp_path / "Documents" / "StabilityMatrix" / "Images")
    assert found_in(tmp_path) == {"Documents/StabilityMatrix/Images": "Stability Matrix"}


def test_other_drives_are_looked_at(tmp_path):
    fill(tmp_path / "drive" / "stable-diffusion-webui" / "outputs", 1)
    (tmp_path / "home").mkdir()
    (place,) = find_places(tmp_path / "home", [tmp_path / "drive"])
    assert place.tool == "A1111"


def test_counting_ends_when_there_are_very_many(tmp_path, monkeypatch):
    monkeypatch.setattr("stablenew.importing.usual_places._MOST_COUNTED", 4)
    for day in range(4):
        fill(tmp_path / "ComfyUI" / "output" / str(day), 3)
    (place,) = find_places(tmp_path, [])
    assert place.is_more
    assert place.image_count < 12
