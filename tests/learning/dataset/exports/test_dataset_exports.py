"""Every export, loaded by the library it is for."""

import gc
import io
import json
import warnings
from pathlib import Path

import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet
import pytest
from PIL import Image

from stablenew import FeedbackManager
from stablenew.formats.digest import digest_bytes
from stablenew.formats.documents.feedback_input import ComparisonInput
from stablenew.importing.importer import Importer
from stablenew.learning.dataset.columns import IMAGES_SCHEMA
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.dataset.split_plan import SplitPlan
from stablenew.learning.dataset_builder import DatasetBuilder
from stablenew.store.upkeep.verifying.run_verifier import RunVerifier
from tests import samples
from tests.importing.images import fill, make_png

PROMPTS = ["a quiet harbour", "a market hall", "a stone bridge", "a tea garden", "a library", "a windmill"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def make_run(store, number, stages=("txt2img",), **fields):
    """A run of two variants of one prompt; of several stages only the last is final."""
    run_id = f"run-{number}"
    writer = store.create(samples.metadata(run_id))
    for variant in range(2):
        outputs = []
        for position, stage in enumerate(stages):
            data = samples.png(f"{number} {variant} {stage}".encode(), width=16, height=12)
            image = samples.build_image(data, variant=variant, stage=stage, number=0)
            writer.write_output(data, variant=variant, stage=stage, number=0, media_type="image/png")
            role = "final" if position == len(stages) - 1 else "intermediate"
            outputs.append(image.reference.model_copy(update={"role": role}))
        prompt = {"positive": PROMPTS[number % len(PROMPTS)], "negative": 'blurry, "low"\nres'}
        actual = {"seed": str(2**63 + number * 10 + variant), "model": "dreamshaper", "cfg_scale": 7.5} | fields
        writer.append_record(samples.record(run_id, variant, outputs, prompt=prompt, actual=actual))
    count = 2 * len(stages)
    writer.seal(samples.metadata(run_id, status="completed", record_count=2, output_count=count))
    return [one.digest for _, one in store.open(run_id).iter_outputs() if one.role == "final"]


@pytest.fixture
def rated(store):
    """Six prompts, a run each, of which two are rated and two compared."""
    manager = FeedbackManager(store, rater="alice")
    for number in range(6):
        digests = make_run(store, number, ("txt2img", "upscale") if number == 2 else ("txt2img",))
        if number in (1, 2):
            manager.record_feedback(f"run-{number}", digests[0], number + 2, tags=["keeper"])
        if number in (3, 4):
            outcome = {3: "win", 4: "tie"}[number]
            manager.record_preference(f"run-{number}", digests[0], digests[1], outcome, shown="right")
    return store


def build(store, folder, *formats, **options):
    return DatasetBuilder(store).build_learning_dataset(folder, formats=formats, **options)


def exported(ledger, name):
    return next(one for one in ledger.exports if one.name == name)


def test_parquet_is_read_by_pyarrow(rated, tmp_path):
    build(rated, tmp_path / "ds")
    table = pyarrow.dataset.dataset(tmp_path / "ds" / "images", format="parquet").to_table()
    assert table.num_rows == 14
    assert table["seed"].to_pylist()[0] == 2**63
    assert table.schema.equals(IMAGES_SCHEMA)
    first = next((tmp_path / "ds" / "images").iterdir())
    meanings = json.loads(pyarrow.parquet.read_metadata(first).metadata[b"stablenew.columns"])
    assert meanings["rating"].startswith("mean of the raters' stars")


def test_parquet_and_json_lines_are_read_by_datasets(rated, tmp_path, needs_datasets):
    from datasets import load_dataset

    build(rated, tmp_path / "ds", "jsonl")
    options = {"split": "train", "cache_dir": str(tmp_path / "cache")}
    parquet = load_dataset("parquet", data_files=str(tmp_path / "ds/images/*.parquet"), **options)
    lines = load_dataset("json", data_files=str(tmp_path / "ds/images.jsonl"), **options)
    assert parquet["image_id"] == lines["image_id"]
    assert parquet.num_rows == 14
    rows = [json.loads(line) for line in (tmp_path / "ds/images.jsonl").read_text().splitlines()]
    assert rows[0]["seed"] == str(2**63)
    assert [row["rating"] for row in rows if "rating" in row] == [3.0, 4.0]


def test_csv_is_read_by_pyarrow_and_python(rated, tmp_path):
    import csv

    build(rated, tmp_path / "ds", "csv")
    with (tmp_path / "ds/images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14
    assert rows[0]["negative_prompt"] == 'blurry, "low"\nres'
    assert json.loads(rows[2]["tags"]) == ["keeper"]
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    assert pyarrow.csv.read_csv(tmp_path / "ds/images.csv", parse_options=options).num_rows == 14


def test_an_image_folder_is_read_by_datasets(rated, tmp_path, needs_datasets):
    from datasets import load_dataset

    ledger = build(rated, tmp_path / "ds", "imagefolder", split=SplitPlan(0.4, 0.3, 0.3))
    loaded = load_dataset("imagefolder", data_dir=str(tmp_path / "ds/imagefolder"), cache_dir=str(tmp_path / "cache"))
    counts = ledger.split_counts
    assert sum(part.num_rows for part in loaded.values()) == exported(ledger, "imagefolder").row_count == 12
    assert set(loaded) == {name for name in ("train", "validation", "test") if getattr(counts, name)}
    rows = {row["image_id"]: row for part in loaded.values() for row in part}
    table = {row["image_id"]: row for row in Dataset(tmp_path / "ds").read_images().to_pylist()}
    for image_id, row in rows.items():
        stars = table[image_id]["rating"]
        assert (row["text"], row["rating"]) == (table[image_id]["prompt"], stars)
        assert row["seed"] == str(table[image_id]["seed"]), "beyond 2^53, where JSON readers round"
        assert row["image"].size == (16, 12)
    assert exported(ledger, "imagefolder").left_out == {"intermediate": 2}
    assert "denoising_strength" in exported(ledger, "imagefolder").columns_left_out
    assert "rating" not in exported(ledger, "imagefolder").columns_left_out


def test_web_dataset_shards_are_read_by_webdataset(rated, tmp_path, monkeypatch, needs_datasets):
    import webdataset

    monkeypatch.setattr("stablenew.learning.dataset.exports.image_exports.SHARD_IMAGES", 5)
    ledger = build(rated, tmp_path / "ds", "webdataset", split=SplitPlan(1, 0, 0))
    shards = sorted(str(path) for path in (tmp_path / "ds/webdataset").iterdir())
    assert [Path(path).name for path in shards] == [f"train-{number:06d}.tar" for number in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves the last shard to the garbage collector
        found = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "txt", "json")
        samples_read = list(found)
        del found
        gc.collect()
    assert len(samples_read) == exported(ledger, "webdataset").row_count == 12
    for image, text, facts in samples_read:
        assert image.size == (16, 12)
        assert text == facts["text"] in PROMPTS


def test_pairs_are_what_trainers_by_preference_read(rated, tmp_path, needs_datasets):
    """As the training script of Diffusion-DPO takes them: bytes of two images, a caption, and who won."""
    from datasets import load_dataset

    ledger = build(rated, tmp_path / "ds", "pairs", split=SplitPlan(1, 0, 0))
    loaded = load_dataset("parquet", data_files=str(tmp_path / "ds/pairs/train.parquet"), cache_dir=str(tmp_path / "c"))
    rows = list(loaded["train"])
    assert len(rows) == exported(ledger, "pairs").row_count == 2
    decided = [row for row in rows if row["label_0"] in (0, 1)]
    assert [row["label_0"] for row in rows if row not in decided] == [0.5]
    (row,) = decided
    assert (row["label_0"], row["label_1"]) == (0, 1), "the winner was shown on the right"
    assert row["best_image_uid"] == row["image_1_uid"]
    assert row["caption"] == PROMPTS[3]
    for name in ("jpg_0", "jpg_1"):
        assert Image.open(io.BytesIO(row[name])).convert("RGB").size == (16, 12)


def test_images_that_are_gone_or_changed_are_named_and_hide_no_others(rated, tmp_path):
    paths = sorted((rated.root / "run-0" / "outputs").iterdir())
    paths[0].unlink()
    paths[1].chmod(0o644)
    paths[1].write_bytes(samples.png(b"something else"))
    ledger = build(rated, tmp_path / "ds", "imagefolder", split=SplitPlan(1, 0, 0))
    assert exported(ledger, "imagefolder").row_count == 10
    assert exported(ledger, "imagefolder").left_out == {"intermediate": 2, "missing": 2}
    assert sorted((one.run_id, one.path) for one in ledger.problems) == [
        ("run-0", path.relative_to(rated.root / "run-0").as_posix()) for path in paths
    ]


def test_an_export_that_is_not_asked_for_again_goes_and_nothing_else_does(rated, tmp_path):
    build(rated, tmp_path / "ds", "csv", "imagefolder", "webdataset")
    (tmp_path / "ds" / "notes.txt").write_text("mine")
    (tmp_path / "ds" / "imagefolder" / "train" / "mine.txt").write_text("mine")
    build(rated, tmp_path / "ds", "jsonl")
    left = {path.relative_to(tmp_path / "ds").as_posix() for path in (tmp_path / "ds").rglob("*") if path.is_file()}
    shown = {one for one in left if not one.startswith((".build", "images/", "runs.", "preferences."))}
    assert shown == {"README.md", "dataset.json", "images.jsonl", "imagefolder/train/mine.txt", "notes.txt"}
    assert len(left) - len(shown) == 8, "a part, its ties, four files of state, two tables, and nothing older"


def test_a_training_set_is_a_copy_that_can_be_changed_without_harm(rated, tmp_path):
    build(rated, tmp_path / "ds", "imagefolder", split=SplitPlan(1, 0, 0))
    for copy in (tmp_path / "ds/imagefolder/train").glob("*.png"):
        copy.write_bytes(b"cropped")
    assert all(RunVerifier(run).verify().is_ok for run in rated.iter_runs())


def add_image(store, run_id, data, media_type, *, stage="txt2img", **fields):
    """A run of one image, whatever its bytes are."""
    writer = store.create(samples.metadata(run_id))
    image = samples.build_image(data, variant=0, stage=stage, number=0)
    writer.write_output(data, variant=0, stage=stage, number=0, media_type=image.reference.media_type)
    output = image.reference.model_copy(update={"media_type": media_type or image.reference.media_type})
    writer.append_record(samples.record(run_id, 0, [output], **fields))
    writer.seal(samples.metadata(run_id, status="completed", record_count=1, output_count=1))


@pytest.mark.heavy
def test_numbers_are_numbers_in_json_where_every_seed_fits(store, tmp_path):
    from datasets import load_dataset

    for number in range(4):
        data = samples.png(f"{number}".encode(), width=16, height=12)
        actual = {"seed": number or 2**53 - 1, "cfg_scale": 7}
        add_image(store, f"run-{number}", data, None, actual=actual, prompt={"positive": PROMPTS[number]})
    FeedbackManager(store, rater="alice").record_feedback("run-0", "0/0", 4)
    build(store, tmp_path / "ds", "imagefolder", "jsonl", split=SplitPlan(1, 0, 0))
    options = {"split": "train", "cache_dir": str(tmp_path / "cache")}
    loaded = load_dataset("imagefolder", data_dir=str(tmp_path / "ds/imagefolder"), **options)
    lines = load_dataset("json", data_files=str(tmp_path / "ds/images.jsonl"), **options)
    assert sorted(loaded["seed"]) == sorted(lines["seed"]) == [1, 2, 3, 2**53 - 1]
    assert [row["cfg_scale"] for row in loaded.filter(lambda row: (row["rating"] or 0) >= 4)] == [7]
    assert loaded["negative_prompt"] == [None] * 4 if "negative_prompt" in loaded.column_names else True


@pytest.mark.heavy
@pytest.mark.usefixtures("needs_datasets")
def test_seeds_on_both_sides_of_2_to_the_53_have_one_type_in_json_lines(store, tmp_path):
    from datasets import load_dataset

    for number, seed in enumerate([3, str(2**64 - 1)]):
        data = samples.png(f"{number}".encode(), width=16, height=12)
        add_image(store, f"run-{number}", data, None, actual={"seed": seed})
    build(store, tmp_path / "ds", "jsonl")
    lines = load_dataset("json", data_files=str(tmp_path / "ds/images.jsonl"), cache_dir=str(tmp_path / "c"))
    assert lines["train"]["seed"] == ["3", str(2**64 - 1)]


@pytest.mark.usefixtures("needs_datasets")
def test_splits_of_which_one_has_no_ratings_still_load_with_exact_seeds_and_nulls(rated, tmp_path):
    from datasets import load_dataset

    FeedbackManager(rated, rater="alice").record_feedback("run-5", "0/0", 2)
    plans = (SplitPlan(0.34, 0.33, 0.33, salt=str(salt)) for salt in range(40))
    for number, plan in enumerate(plans):
        folder = tmp_path / f"ds{number}"
        build(rated, folder, "imagefolder", split=plan)
        found = Dataset(folder).read_images(["split", "rating", "role"]).to_pylist()
        splits = {row["split"] for row in found if row["split"] and row["role"] == "final"}
        if len(splits) > 1 and {row["split"] for row in found if row["rating"] is not None} < splits:
            break
    else:
        pytest.fail("no plan left a split without ratings")
    loaded = load_dataset("imagefolder", data_dir=str(folder / "imagefolder"), cache_dir=str(tmp_path / "cache"))
    rows = {row["image_id"]: row for part in loaded.values() for row in part}
    table = {row["image_id"]: row for row in Dataset(folder).read_images().to_pylist()}
    assert rows
    for image_id, row in rows.items():
        assert (row["rating"], int(row["seed"])) == (table[image_id]["rating"], table[image_id]["seed"])
        assert row["tags"] is None or row["tags"] == "keeper"


@pytest.mark.usefixtures("needs_datasets")
def test_videos_and_what_does_not_open_are_left_out_and_counted(rated, tmp_path):
    from datasets import load_dataset

    add_image(rated, "run-7", b"\0\0\0\x20ftypisom" + bytes(80), None, prompt={"positive": "a video"})
    add_image(rated, "run-8", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")
    add_image(rated, "run-9", b"\x89PNG\r\n\x1a\nand then nothing", "image/png")
    manager = FeedbackManager(rated, rater="alice")
    manager.record_preference("run-3", "0/0", "1/0", "win")
    ledger = build(rated, tmp_path / "ds", "imagefolder", "webdataset", split=SplitPlan(1, 0, 0))
    assert exported(ledger, "imagefolder").left_out == {"intermediate": 2, "not_an_image": 3}
    assert exported(ledger, "webdataset").left_out == {"intermediate": 2, "not_an_image": 3}
    options = {"split": "train", "cache_dir": str(tmp_path / "cache")}
    loaded = load_dataset("imagefolder", data_dir=str(tmp_path / "ds/imagefolder"), **options)
    assert len([row["image"].size for row in loaded]) == 12


@pytest.mark.heavy
@pytest.mark.usefixtures("needs_datasets")
def test_names_longer_than_ustar_allows_are_in_the_shard(store, tmp_path):
    import webdataset

    add_image(store, "a" * 64, samples.png(b"long", width=16, height=12), None, stage="s" * 40)
    ledger = build(store, tmp_path / "ds", "webdataset", split=SplitPlan(1, 0, 0))
    assert exported(ledger, "webdataset").row_count == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        shard = str(tmp_path / "ds/webdataset/train-000000.tar")
        ((image, facts),) = webdataset.WebDataset(shard, shardshuffle=False).decode("pil").to_tuple("png", "json")
        gc.collect()
    assert (image.size, facts["run_id"]) == ((16, 12), "a" * 64)


@pytest.mark.heavy
def test_comparisons_across_splits_are_left_out_and_counted_apart(store, tmp_path):
    """Of one prompt, `dawn` was put in on the left and written on the right: two families, hence perhaps two splits."""
    writer = store.create(samples.metadata("run-0"))
    for variant, label in enumerate(["[time]=dawn", None]):
        data = samples.png(f"{variant}".encode(), width=16, height=12)
        image = samples.build_image(data, variant=variant, stage="txt2img", number=0)
        writer.write_output(data, variant=variant, stage="txt2img", number=0, media_type="image/png")
        info = {"index": variant, "total": 2} | ({"label": label} if label else {})
        prompt = {"positive": "a harbour at dawn"}
        writer.append_record(samples.record("run-0", variant, [image.reference], prompt=prompt, variant=info))
    writer.seal(samples.metadata("run-0", status="completed", record_count=2, output_count=2))
    FeedbackManager(store, rater="alice").record_preference("run-0", "0/0", "1/0", "win")
    found = set()
    for salt in range(12):
        ledger = build(
            store, tmp_path / f"ds{salt}", "pairs", split=SplitPlan(0.5, 0, 0.5, by=("prompt",), salt=str(salt))
        )
        splits = set(Dataset(tmp_path / f"ds{salt}").read_images(["split"])["split"].to_pylist())
        export = exported(ledger, "pairs")
        assert (export.row_count, export.left_out) == ((1, {}) if len(splits) == 1 else (0, {"across_splits": 1}))
        found.add(len(splits))
    assert found == {1, 2}


def test_images_in_their_place_are_exported_under_names_of_their_own(store, tmp_path):
    paths = fill(tmp_path / "outputs", 6)
    Importer(store).run(tmp_path / "outputs")
    paths[5].unlink()
    ledger = build(store, tmp_path / "ds", "imagefolder", "webdataset", split=SplitPlan(1, 0, 0))
    folder = tmp_path / "ds" / "imagefolder" / "train"
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert {(folder / line["file_name"]).read_bytes() for line in lines} == {path.read_bytes() for path in paths[:5]}
    assert sorted(line["seed"] for line in lines) == list(range(5))
    for name in ("imagefolder", "webdataset"):
        assert (exported(ledger, name).row_count, exported(ledger, name).left_out) == (5, {"missing": 1})
    assert {problem.path for problem in ledger.problems} == {digest_bytes(make_png(5))}


def test_comparisons_of_images_of_two_runs_are_pairs(store, tmp_path):
    images = [make_run(store, number) for number in (0, 6)]  # of one prompt
    comparison = ComparisonInput(
        winner_run_id="run-6", winner=images[1][0], loser_run_id="run-0", loser=images[0][0], outcome="win"
    )
    FeedbackManager(store, rater="alice").record_comparisons([comparison])
    ledger = build(store, tmp_path / "ds", "pairs", split=SplitPlan(1, 0, 0))
    assert (exported(ledger, "pairs").row_count, exported(ledger, "pairs").left_out) == (1, {})
    (row,) = pyarrow.parquet.read_table(tmp_path / "ds" / "pairs" / "train.parquet").to_pylist()
    assert row["best_image_uid"] == images[1][0]
    assert {row["image_0_uid"], row["image_1_uid"]} == {images[0][0], images[1][0]}


@pytest.mark.usefixtures("needs_datasets")
def test_the_card_says_what_the_columns_are_and_what_was_left_out(rated, tmp_path):
    from datasets import load_dataset

    ledger = build(rated, tmp_path / "ds", "imagefolder", "csv")
    card = (tmp_path / "ds/README.md").read_text(encoding="utf-8")
    for column in ledger.columns:
        assert f"| `{column.name}` | " in card
    assert "2 left out: images that a later stage took as its input." in card
    loaded = load_dataset(str(tmp_path / "ds"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == 14, "the card says which files the dataset is"
    (tmp_path / "ds/README.md").write_text("my own notes")
    build(rated, tmp_path / "ds", "csv")
    assert (tmp_path / "ds/README.md").read_text() == "my own notes"
