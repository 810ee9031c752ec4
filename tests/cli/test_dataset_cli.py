"""`stablenew dataset` and `prefer`, as typed."""

import json

import pytest
from PIL import Image

from stablenew import RunRecorder, RunStore
from stablenew.cli.main import _run
from stablenew.learning.dataset.reader import Dataset
from tests.index.stores import make_store
from tests.samples import sealed_run


@pytest.fixture
def stablenew(tmp_path, capsys):
    make_store(tmp_path / "runs", 31, count=30)

    def call(*arguments):
        code = _run(["--runs-dir", str(tmp_path / "runs"), *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_a_dataset_is_built_shown_and_verified(stablenew, tmp_path):
    folder = tmp_path / "ds"
    code, text, _ = stablenew("dataset", "build", "-o", folder, "--format", "csv,jsonl", "--split", "60,20,20")
    assert code == 0
    assert "runs" in text
    assert "30 seen" in text
    assert "left out" in text
    code, text, _ = stablenew("--json", "dataset", "show", folder)
    ledger = json.loads(text)
    assert (ledger["split"]["train"], ledger["counts"]["runs_seen"]) == (0.6, 30)
    assert sum(ledger["images_by_stars"]) == ledger["counts"]["images_rated"]
    code, text, _ = stablenew("dataset", "show", folder)
    assert "█" in text
    assert "★★" in text
    assert stablenew("dataset", "verify", folder)[0] == 0
    (folder / "images.csv").write_bytes(b"")
    code, text, _ = stablenew("dataset", "verify", folder)
    assert code == 1
    assert "images.csv" in text


def test_a_query_chooses_the_runs(stablenew, tmp_path):
    code, text, _ = stablenew("--json", "dataset", "build", "-o", tmp_path / "ds", "model:dreamshaper*", "-blurry")
    ledger = json.loads(text)
    assert code == 0
    assert ledger["source"]["query"] == "model:dreamshaper* -blurry"
    assert 0 < ledger["left_out_by_reason"]["not_in_query"] < 30
    code, text, _ = stablenew("--json", "history", "model:dreamshaper*", "-blurry", "--limit", "0")
    found = {row["run_id"] for row in json.loads(text)}
    left_out = {one["run_id"] for one in ledger["left_out"]}
    assert ledger["counts"]["runs_joined"] == len(found - left_out)


def test_stars_said_in_a_run_that_the_query_leaves_out_stand_beside_its_image(stablenew, tmp_path):
    picture = Image.effect_noise((16, 16), 90)
    runs = []
    for cfg in (4, 5):
        with RunRecorder(tmp_path / "runs") as run:
            run.log(picture, prompt="the pier at dusk", cfg_scale=cfg)
        runs.append(run.run_id)
    assert stablenew("rate", runs[0], "0/0", "5")[0] == 0
    assert stablenew("dataset", "build", "-o", tmp_path / "ds", "pier", "cfg:5")[0] == 0
    (row,) = Dataset(tmp_path / "ds").read_images(["run_id", "rating"]).to_pylist()
    assert row == {"run_id": runs[1], "rating": 5}


def test_only_the_images_that_fit_are_taken_also_when_others_fit_later(stablenew, tmp_path):
    def build(folder, query):
        code, text, error = stablenew("--json", "dataset", "build", "-o", folder, query)
        assert code == 0, error
        images = Dataset(folder).read_images(["run_id", "image_id"]).to_pylist()
        _, text, _ = stablenew("--json", "images", query, "--limit", "0")
        fitting = {image["digest"] for image in json.loads(text)}
        joined = {row["run_id"] for row in Dataset(folder).read_runs().to_pylist() if row["left_out"] is None}
        assert {row["image_id"] for row in images} <= fitting
        assert list(Dataset(folder).iter_findings()) == []
        assert Dataset(folder).ledger.counts.images == len(images)
        return {(row["run_id"], row["image_id"]) for row in images}, joined

    folder, query = tmp_path / "ds", "rating:>=4"
    first, joined = build(folder, query)
    stablenew("dataset", "build", "-o", tmp_path / "whole")
    whole = {tuple(row.values()) for row in Dataset(tmp_path / "whole").read_images(["run_id", "image_id"]).to_pylist()}
    assert first < {pair for pair in whole if pair[0] in joined}  # of some runs only a part fits
    assert build(folder, query)[0] == first
    digest = Dataset(folder).ledger.digest
    run_id, image = min(pair for pair in whole - first if pair[0] in joined)
    assert stablenew("rate", run_id, image, "5", "--rater", "me")[0] == 0
    later, _ = build(folder, query)
    assert later == build(tmp_path / "new", query)[0]
    assert Dataset(folder).ledger.digest == Dataset(tmp_path / "new").ledger.digest != digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "tfrecord"], "no format 'tfrecord'"),
        (["--split", "80,20"], "three percentages"),
        (["--split", "80,30,10"], "come to 1"),
        (["--split-by", "seed"], "by prompt"),
        (["--executor", "spark"], "local and dask"),
        (["--engine", "spark"], "local and dask"),
        (["modle:x"], "did you mean model"),
        (["--formt", "csv"], "no such option"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_done(stablenew, tmp_path, arguments, message):
    code, _, error = stablenew("dataset", "build", "-o", tmp_path / "ds", *arguments)
    assert code == 2
    assert message in error
    assert not (tmp_path / "ds").exists()


def test_a_folder_without_a_dataset_is_a_usage_error(stablenew, tmp_path):
    assert stablenew("dataset", "show", tmp_path)[0] == 2
    assert stablenew("dataset", "verify", tmp_path)[0] == 2


def test_two_images_are_compared(stablenew, tmp_path):
    run = sealed_run(RunStore(tmp_path / "runs"), "compared", variants=3)
    first, second, _ = [output.digest for _, output in run.iter_outputs()]
    assert stablenew("prefer", "compared", "0/0", "1/0", "--rater", "anna")[0] == 0
    code, text, _ = stablenew("--json", "prefer", "compared", "0/0", "2/0", "--tie", "--rater", "anna")
    found = json.loads(text)["state"]["preferences"]
    assert code == 0
    assert [(one["winner"], one["outcome"]) for one in found] == [(first, "win"), (first, "tie")]
    assert found[0]["loser"] == second
    assert stablenew("prefer", "compared", "0/0", "0/0")[0] == 1
    assert stablenew("prefer", "compared", "0/0", "9/0")[0] == 2


def test_a_word_turned_around_is_no_short_option_with_a_value(stablenew, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("--split", "60,20,20", "-oil", "-olive", "harbour")
    assert stablenew("dataset", "build", "-o", "ds", *arguments)[0] == 0
    assert json.loads((tmp_path / "ds" / "dataset.json").read_text())["source"]["query"] == "harbour -oil -olive"
    code, _, errors = stablenew("dataset", "build", "-ods")
    assert (code, "Missing option '--output'" in errors) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ds", "runs"]
