"""Runs as RO-Crates and as W3C PROV. Other programs judge them in `.ci/run`, and PROV here where its library is."""

import hashlib
import json
import subprocess

import pytest
from tools.conformance.kit import append, begin, held, picture, seal
from tools.conformance.kit import record as stage_record

from stablenew import LearningRecord, RunVerifier
from stablenew.errors import ConfigError
from stablenew.exporting.prov_document import build_prov
from stablenew.exporting.provenance_export import export_crates, export_prov
from stablenew.formats.documents.learning_record import GenerationSettings
from stablenew.store.run import Run
from tests import forked_commands
from tests.samples import add_event, metadata, png, record, sealed_run, write_variant


@pytest.fixture
def stages(store):
    """A run of two stages, with a failed variant and a model."""
    writer = begin(store.root)
    small = held(writer, picture(1), role="intermediate")
    large = held(writer, picture(1, 8, 6), 0, "upscale", parents=[small["digest"]])
    error = {"message": "out of memory", "type": "EngineError"}
    append(writer, stage_record(0, outputs=[small, large]), stage_record(1, status="failed", error=error))
    models = [{"name": "landscape.safetensors", "kind": "checkpoint", "sha256": "ab" * 32}]
    return Run(seal(writer, "partial", closure={"models": models}))


def entities(folder):
    crate = json.loads((folder / "ro-crate-metadata.json").read_bytes())
    return {entity["@id"]: entity for entity in crate["@graph"]}


def test_a_crate_holds_the_sealed_run_as_it_is(stages, tmp_path):
    add_event(stages, "rate", image_id=None, rating=4)
    report = export_crates([stages], tmp_path / "crates")
    target = tmp_path / "crates" / stages.run_id
    assert report.written == [stages.run_id]
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=target).returncode == 0
    assert {finding.code for finding in RunVerifier(Run(target)).verify().findings} == {"file-foreign"}
    assert (target / "feedback.json").read_bytes() == (stages.path / "feedback.json").read_bytes()
    assert RunVerifier(stages).verify().findings == ()


def test_a_crate_says_what_was_made_of_what_and_what_failed(stages, tmp_path):
    export_crates([stages], tmp_path / "crates", "https://creativecommons.org/publicdomain/zero/1.0/")
    found = entities(tmp_path / "crates" / stages.run_id)
    done, failed = found["#variant-0"], found["#variant-1"]
    outputs = [output.path for _, output in stages.iter_outputs()]
    assert [entity["@id"] for entity in done["result"]] == outputs
    assert {"@id": "#model-0"} in done["object"]
    assert found["#model-0"]["sha256"] == "ab" * 32
    assert (failed["error"], failed["actionStatus"]["@id"]) == ("out of memory", "http://schema.org/FailedActionStatus")
    assert found["./"]["license"]["@id"].startswith("https://creativecommons.org/")
    steps = found["#variant-0-steps"]
    assert (steps["name"], steps["value"]) == ("steps", 20)
    assert found[outputs[0]]["digitalSourceType"]["@id"].endswith("trainedAlgorithmicMedia")


def test_every_file_of_a_crate_is_described_by_its_bytes_and_every_reference_leads_somewhere(stages, tmp_path):
    export_crates([stages], tmp_path / "crates")
    folder = tmp_path / "crates" / stages.run_id
    found = entities(folder)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    described = {name for name, entity in found.items() if entity["@type"] == "File"}
    assert described == files - {"ro-crate-metadata.json"}
    for name in described - {"feedback.json"}:
        data = (folder / name).read_bytes()
        assert found[name]["sha256"] == hashlib.sha256(data).hexdigest()
        assert found[name]["contentSize"] == str(len(data))
    for action in (found["#variant-0"], found["#variant-1"], found["./"]):
        lists = [value for value in action.values() if isinstance(value, list)]
        assert all(item["@id"] in found for value in lists for item in value if isinstance(item, dict))


def test_only_sealed_runs_are_exported_and_only_into_a_new_folder(store, tmp_path):
    sealed = sealed_run(store, "whole")
    writer = store.create(metadata("unsealed"))
    write_variant(writer, 0)
    writer.abandon()
    damaged = sealed_run(store, "damaged")
    image = min((damaged.path / "outputs").iterdir())
    image.chmod(0o644)
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    report = export_crates([sealed, writer.run, damaged], tmp_path / "crates")
    assert report.written == ["whole"]
    assert [problem.partition(":")[0] for problem in report.problems] == ["unsealed", "damaged"]
    assert [path.name for path in (tmp_path / "crates").iterdir()] == ["whole"]
    with pytest.raises(ConfigError):
        export_crates([sealed], tmp_path / "crates")


def test_prov_relates_images_variants_models_and_parents(stages, tmp_path):
    export_prov([stages], tmp_path / "prov")
    document = json.loads((tmp_path / "prov" / f"{stages.run_id}.prov.json").read_bytes())
    small, large = (f"image:{output.digest[7:]}" for _, output in stages.iter_outputs())
    derived = list(document["wasDerivedFrom"].values())
    assert derived == [{"prov:generatedEntity": large, "prov:usedEntity": small}]
    assert {made["prov:entity"] for made in document["wasGeneratedBy"].values()} == {small, large}
    assert document["activity"][f"run:{stages.run_id}/variant/0"]["sn:steps"] == 20
    assert {used["prov:entity"] for used in document["used"].values()} == {f"run:{stages.run_id}/model/0"}


def test_the_library_of_prov_reads_the_document(stages, tmp_path):
    model = pytest.importorskip("prov.model")
    export_prov([stages], tmp_path / "prov")
    document = model.ProvDocument.deserialize(tmp_path / "prov" / f"{stages.run_id}.prov.json", format="json")
    assert len(list(document.get_records(model.ProvActivity))) == 2
    assert len(list(document.get_records(model.ProvEntity))) == 3
    assert len(list(document.get_records(model.ProvDerivation))) == 1
    assert "wasGeneratedBy" in document.get_provn()


def test_the_commands_export_the_runs_of_the_images_that_fit(store, tmp_path):
    for name, steps in (("few", 20), ("many", 40)):
        writer = store.create(metadata(name))
        image = held(writer, png(name.encode()))
        fields = record(name, actual={"steps": steps}).to_dict() | {"outputs": [image]}
        writer.append_record(LearningRecord.from_dict(fields))
        writer.seal(metadata(name, status="completed", record_count=1, output_count=1))
    for command, expected in (("ro-crate", "many"), ("prov", "many.prov.json")):
        folder = tmp_path / command
        forked_commands.call("--runs-dir", str(store.root), "export", command, "steps:40", "-o", str(folder))
        assert [path.name for path in folder.iterdir()] == [expected]


def test_a_setting_named_as_a_fact_of_the_variant_is_what_ran(store):
    run = sealed_run(store, "sample-run", variants=0)
    ran = GenerationSettings.model_validate({"prompt": "as it ran"})
    said = record("sample-run", 0).model_copy(update={"actual": ran})
    activity = build_prov(run.metadata, [said])["activity"]["run:sample-run/variant/0"]
    assert activity["sn:prompt"] == "as it ran"
