"""A run run again from the command line: with its own engine, at its own address, or not at all."""

import json

import pytest
from PIL import Image

from stablenew import RunRecorder, RunStore
from tests import forked_commands
from tests.engines.webui_server import FakeWebUI, serving

SMALL = ["--set", "txt2img.width=64", "--set", "txt2img.height=64", "--seed", "7"]


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pack.txt").write_text("a quiet harbour at dawn\nneg: blurry\n")
    return forked_commands.call


@pytest.fixture
def webui():
    fake = FakeWebUI()
    with serving(fake) as fake.url:
        yield fake


def run_ids():
    return sorted(run.run_id for run in RunStore("runs").iter_runs())


def test_a_run_runs_again_with_its_own_engine_at_its_own_address(cli, webui):
    cli("run", "pack.txt", "--record", "--engine", "webui", "--url", webui.url, *SMALL)
    (first,) = run_ids()
    source = RunStore("runs").open(first).metadata.source
    assert (source.engine, source.engine_url) == ("webui", webui.url)
    cli("run", "--again", first, "--record")
    (again,) = set(run_ids()) - {first}
    metadata = RunStore("runs").open(again).metadata
    assert (metadata.source.engine, metadata.source.engine_url) == ("webui", webui.url)
    assert metadata.correlation.parent_run_id == first
    digests = [[output.digest for _, output in RunStore("runs").open(one).iter_outputs()] for one in (first, again)]
    assert digests[0] == digests[1]


def test_a_password_is_never_recorded_and_comes_from_the_settings(cli):
    fake = FakeWebUI(auth=("alice", "secret"))
    with serving(fake) as url:
        with_login = url.replace("//", "//alice:secret@")
        cli("run", "pack.txt", "--record", "--engine", "webui", "--url", with_login, *SMALL)
        (first,) = run_ids()
        run = RunStore("runs").open(first)
        assert run.metadata.source.engine_url == url
        assert not any(b"secret" in path.read_bytes() for path in run.path.rglob("*.json*"))
        done = cli("run", "--again", first, "--record", code=1)
        assert "wants a name and a password" in done.stderr
        cli("config", "set", "engine_url", with_login)
        cli("run", "--again", first, "--record")


def test_a_server_that_is_gone_is_named_and_nothing_is_drawn_instead(cli):
    with serving(FakeWebUI()) as url:
        cli("run", "pack.txt", "--record", "--engine", "webui", "--url", url, *SMALL)
    (first,) = run_ids()
    done = cli("run", "--again", first, "--record", code=1)
    assert f"run {first} cannot run again as it did: nobody answers at {url}" in done.stderr
    assert run_ids() == [first]


def test_a_run_of_another_address_goes_where_a_person_says(cli, webui):
    with serving(FakeWebUI()) as url:
        cli("run", "pack.txt", "--record", "--engine", "webui", "--url", url, *SMALL)
    (first,) = run_ids()
    cli("run", "--again", first, "--record", "--url", webui.url)
    assert len(webui.requests) == 1


def test_the_engine_of_the_settings_does_not_run_what_another_one_made(cli, webui):
    cli("run", "pack.txt", "--record", *SMALL)
    (first,) = run_ids()
    cli("config", "set", "engine", "webui")
    cli("config", "set", "engine_url", webui.url)
    done = json.loads(cli("run", "--again", first, "--record", "--json").stdout)
    assert RunStore("runs").open(done["run_id"]).metadata.source.engine == "sketch"
    assert webui.requests == []


def test_a_pipeline_of_ones_own_is_refused_and_an_engine_can_be_named(cli):
    with RunRecorder("runs", engine="mine") as recorded:
        image = Image.new("RGB", (8, 8))
        recorded.record_variant(prompt="a hill", images=[image], settings={"steps": 3, "width": 64, "height": 64})
    done = cli("run", "--again", recorded.run_id, "--record", code=2)
    assert "was recorded from a pipeline of its own (mine)" in done.stderr
    assert "--engine NAME" in done.stderr
    assert run_ids() == [recorded.run_id]
    cli("run", "--again", recorded.run_id, "--record", "--engine", "sketch")
    assert len(run_ids()) == 2
