"""Engines by name, built in or brought by another package."""

import sys
from importlib.metadata import EntryPoint

import pytest

from stablenew.engines import engine_registry
from stablenew.engines.engine_registry import describe_engines, engine_names, open_engine, takes_url
from stablenew.errors import ConfigError, UnknownEngine


class Brought:
    """Draws with chalk.

    And says more.
    """

    def __init__(self, url="http://chalk"):
        self.url = url


@pytest.fixture
def with_another_package(monkeypatch):
    """An installed package that offers an engine, and one under a name that is built in."""
    points = [
        EntryPoint(name, f"{__name__}:Brought", engine_registry.ENTRY_POINT_GROUP) for name in ("chalk", "sketch")
    ]
    assert __name__ in sys.modules

    def find(*, group, name=None):
        return [point for point in points if group == point.group and name in (None, point.name)]

    monkeypatch.setattr(engine_registry, "entry_points", find)


def test_engines_are_opened_by_name_and_are_what_they_are_called():
    assert engine_names() == ["comfyui", "diffusers", "invokeai", "sketch", "webui"]
    assert open_engine("sketch").info.name == "sketch"


def test_an_unknown_engine_names_those_there_are():
    with pytest.raises(UnknownEngine, match="no engine 'scetch'; there are comfyui, diffusers, invokeai, sketch"):
        open_engine("scetch")


def test_only_servers_have_an_address():
    assert [takes_url(name) for name in ("comfyui", "invokeai", "webui", "sketch")] == [True, True, True, False]
    with pytest.raises(ConfigError, match="the engine 'sketch' is not a server; leave the url out"):
        open_engine("sketch", url="http://127.0.0.1")


def test_an_engine_of_another_package_is_one_of_them(with_another_package):
    assert "chalk" in engine_names()
    assert len(engine_names()) == 6
    assert {"name": "chalk", "description": "Draws with chalk"} in describe_engines()
    assert open_engine("chalk").url == "http://chalk"
    assert open_engine("chalk", url="http://slate").url == "http://slate"


def test_no_package_takes_the_place_of_what_is_built_in(with_another_package):
    assert open_engine("sketch").info.name == "sketch"
