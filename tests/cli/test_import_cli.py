"""Importing by commands: what they print, and what they end with."""

import json

import pytest

from tests import forked_commands
from tests.importing.images import fill
from tests.importing.stars import databases


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, code=0: forked_commands.call(*map(str, arguments), code=code)


def test_stars_are_taken_over_by_a_command_that_says_what_it_did(cli, tmp_path):
    paths = fill(tmp_path / "outputs", 4)
    stars = dict.fromkeys(paths, 3) | {tmp_path / "gone" / "x.png": 5}
    source = databases.majoor(tmp_path / "assets.sqlite", stars)
    assert cli("import-stars", source, code=2).stderr.startswith("stablenew: no images in")
    cli("import", tmp_path / "outputs")
    told = cli("import-stars", source, "--dry-run", code=1)
    assert "5 images with opinions there: 4 would be taken over" in told.stdout
    told = cli("import-stars", source, code=1)
    assert "4 taken over\n  from 4 majoor; found by 4 path" in told.stdout
    assert "1 image not found here" in told.stderr
    report = json.loads(cli("import-stars", source, "--json", code=1).stdout)
    assert (report["written"], report["unchanged"], len(report["unmatched"])) == (0, 4, 1)
    assert cli("images", "rating:3", "--json").stdout.count('"rating": 3') == 4


def test_what_is_not_there_is_a_usage_error(cli, tmp_path):
    assert "there is nothing at" in cli("import-stars", tmp_path / "none.db", code=2).stderr
    assert "OLD=NEW" in cli("import-stars", tmp_path, "--map", "here", code=2).stderr
