"""Every error says itself how a command ends and what the web server answers, and both agree."""

import inspect
import re

import pytest

from stablenew import errors
from stablenew.cli import main as command_line
from stablenew.errors import FAILURE, USAGE, StableNewError
from stablenew.web.api import status_of

CLASSES = [
    kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, StableNewError) and not name.startswith("_")
]
DECLARED = {
    errors.FormatError: (FAILURE, 422),
    errors.InvalidJson: (FAILURE, 422),
    errors.InvalidDocument: (FAILURE, 422),
    errors.NewerFormat: (FAILURE, 409),
    errors.NotAStore: (USAGE, 404),
    errors.NotADataset: (USAGE, 404),
    errors.RunNotFound: (USAGE, 404),
    errors.AmbiguousRun: (USAGE, 404),
    errors.OutputNotFound: (USAGE, 404),
    errors.RunExists: (FAILURE, 409),
    errors.RunSealed: (FAILURE, 409),
    errors.RunLocked: (FAILURE, 409),
    errors.WatchedElsewhere: (FAILURE, 409),
    errors.NotAsSealed: (FAILURE, 409),
    errors.ConfigError: (USAGE, 422),
    errors.PromptPackError: (USAGE, 422),
    errors.InvalidQuery: (USAGE, 422),
    errors.UnknownEngine: (USAGE, 422),
    errors.EngineError: (FAILURE, 502),
    errors.Cancelled: (FAILURE, 409),
    errors.StoreError: (FAILURE, 500),
    errors.Unreadable: (FAILURE, 500),
    errors.CacheFailed: (FAILURE, 503),
    errors.UndecodableImage: (FAILURE, 422),
    errors.ImageTooLarge: (FAILURE, 422),
    errors.WriteFailed: (FAILURE, 500),
    errors.SyncFailed: (FAILURE, 500),
    StableNewError: (FAILURE, 500),
}


def make(kind):
    return kind("no such thing", "query", 0) if kind is errors.InvalidQuery else kind("no such thing")


def test_every_class_is_listed_here():
    assert set(DECLARED) == set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_command_and_the_server_report_an_error_as_it_declares(kind, monkeypatch, capsys):
    def fail(**_):
        raise make(kind)

    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(SystemExit) as ended:
        command_line.main([])
    assert "no such thing" in capsys.readouterr().err
    assert (ended.value.code, status_of(make(kind))) == DECLARED[kind]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_whoever_called_with_something_wrong_is_never_told_that_the_server_failed(kind):
    assert kind.exit_code == FAILURE or 400 <= kind.http_status < 500


def test_the_tree_in_the_docstring_names_every_class_once():
    drawn = re.findall(r"^[ │├└─]*(\w+)", errors.__doc__.partition("::\n")[2], re.MULTILINE)
    assert sorted(name for name in drawn if name) == sorted(kind.__name__ for kind in CLASSES)
