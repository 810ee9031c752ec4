"""Settings under names and with values that nobody expects: every answer of `learn` and `dataset` comes."""

import itertools
import json

import pytest

from stablenew import FeedbackManager, RunRecorder
from tests import forked_commands
from tests.samples import png

LONG = "n" * 256


def rated(root, values):
    """A store with an image for each of `values`, under one setting each, and stars that go round."""
    with RunRecorder(root) as recorder:
        made = [
            recorder.log(png(b"%d" % number), prompt="a lock", **settings) for number, settings in enumerate(values)
        ]
    feedback = FeedbackManager(root)
    for record, stars in zip(made, itertools.cycle([5, 1, 3, 4, 2]), strict=False):
        feedback.record_feedback(recorder.run_id, record.outputs[0].digest, rating=stars)


STORES = {
    "long names": [{LONG: number, "shift": number, LONG[:247]: number} for number in range(12)],
    "ends of numbers": [{"cfg": value, "shift": value} for value in (1e308, -1e308, 5e-324, 0.0, 7.0) * 3],
    "unknown scales": [{"cfg": value, "big": value * 1e300} for value in (1e-300, 2e-300, 3e-300) * 4],
    "every type": [{"mood": value} for value in (1, "1", 1.5, True, [1], {"a": 1}, "", 10**30) * 2],
    "names of ours": [{"rating": n, "run_id": n, "a.b": n, "a:b": n, "metric.x": n, "A": n, "a": n} for n in range(12)],
}
COMMANDS = (
    ("learn", "evidence"),
    ("learn", "defaults"),
    ("learn", "propose"),
    ("learn", "next", "--prompt", "a lock"),
    ("learn", "package", "-o", "{0}/package.json"),
    ("dataset", "build", "-o", "{0}/dataset", "--format", "jsonl", "--format", "csv"),
)


@pytest.mark.heavy
@pytest.mark.parametrize("name", STORES)
def test_settings_of_any_kind_stop_no_answer(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)  # `learn next` leaves a plan there
    rated(tmp_path / "runs", STORES[name])
    for command in COMMANDS:
        words = [word.format(tmp_path) for word in command]
        done = forked_commands.run("--runs-dir", str(tmp_path / "runs"), *words)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (command, done.stderr)


def test_a_setting_with_a_name_too_long_for_a_column_stands_in_the_list(tmp_path):
    rated(tmp_path / "runs", STORES["long names"])
    build = ["dataset", "build", "-o", str(tmp_path / "dataset"), "--format", "jsonl"]
    forked_commands.call("--runs-dir", str(tmp_path / "runs"), *build)
    rows = [json.loads(line) for line in (tmp_path / "dataset" / "images.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    for row in rows:
        assert LONG in {setting["name"] for setting in row["settings"]}
        assert f"setting_{LONG[:247]}" in row
        assert f"setting_{LONG}" not in row
