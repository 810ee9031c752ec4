"""From an image as a query finds it to its bytes and its maker, wherever they are."""

import pytest

from stablenew.errors import OutputNotFound
from stablenew.exporting.image_places import ImagePlaces
from stablenew.exporting.maker import Maker, maker_of
from stablenew.formats.documents.run_metadata import Source
from stablenew.importing.importer import Importer
from tests import samples
from tests.importing.images import fill


def image_of(*runs, digest=None, number=0):
    """The image of some number in the first run, with a place in each, as history describes it."""
    outputs = [output for _, output in runs[0].iter_outputs()]
    digest = digest or outputs[number].digest
    places = [{"run_id": run.run_id, "digest": digest} for run in runs]
    return {"digest": digest, "run_id": runs[0].run_id, "name": f"{number}/0", "places": places}


def named(run, name):
    """The image of a run that was found under a name."""
    (digest,) = [output.digest for _, output in run.iter_outputs() if output.origin.path.endswith(name)]
    return image_of(run, digest=digest)


@pytest.fixture
def places(store):
    return ImagePlaces(store)


@pytest.fixture
def in_place(store, tmp_path):
    """A run of three images that lie where they were found."""
    fill(tmp_path / "art" / "day", 3)
    Importer(store).run(tmp_path / "art")
    (run,) = store.iter_runs()
    return run


def test_the_bytes_of_an_image_are_those_that_were_recorded(store, places):
    run = samples.sealed_run(store, "one")
    data, output = places.read(image_of(run, number=1))
    assert data == (run.path / output.path).read_bytes()


def test_a_second_place_helps_where_the_first_has_lost_it(store, places):
    writer = store.create(samples.metadata("two"))
    one = samples.sealed_run(store, "one", variants=1)
    data = (one.path / next(one.iter_outputs())[1].path).read_bytes()
    samples.write_variant(writer, 0, data)
    two = writer.seal(samples.metadata("two", status="completed", record_count=1, output_count=1))
    image = image_of(one, two)
    path = one.path / next(one.iter_outputs())[1].path
    path.chmod(0o644)
    path.unlink()
    assert places.read(image)[0] == data


def test_an_image_that_no_run_holds_is_named_and_why(store, places):
    run = samples.sealed_run(store, "one")
    image = image_of(run)
    nowhere = image | {"places": [{"run_id": "gone", "digest": image["digest"]}]}
    with pytest.raises(OutputNotFound, match=f"no run here holds {image['digest']}"):
        places.read(nowhere)
    with pytest.raises(OutputNotFound, match="no run here holds"):
        places.maker_of(nowhere)
    assert places.name_of(nowhere) == f"{image['digest'][7:19]}.png"
    path = run.path / next(run.iter_outputs())[1].path
    path.chmod(0o644)
    path.unlink()
    with pytest.raises(OutputNotFound, match=path.name):
        places.read(image)


def test_an_image_in_place_lies_in_a_folder_and_one_of_a_run_does_not(store, places, in_place, tmp_path):
    assert places.paths_in_place(named(in_place, "0.png")) == [tmp_path / "art" / "day" / "00000-0.png"]
    held = samples.sealed_run(store, "held")
    with pytest.raises(OutputNotFound, match="held 0/0 is held in its run, not in a folder"):
        places.paths_in_place(image_of(held))


def test_an_image_in_place_that_was_changed_or_is_gone_is_not_there(places, in_place, tmp_path):
    path = tmp_path / "art" / "day" / "00000-0.png"
    path.write_bytes(b"another")
    with pytest.raises(OutputNotFound):
        places.paths_in_place(named(in_place, "0.png"))
    path.unlink()
    with pytest.raises(OutputNotFound, match=r"00000-0\.png"):
        places.read(named(in_place, "0.png"))


def test_an_image_is_named_as_beneath_its_source_or_in_its_run(store, places, in_place):
    assert places.name_of(named(in_place, "2.png")) == "day/00002-2.png"
    held = samples.sealed_run(store, "held")
    assert places.name_of(image_of(held)) == next(held.iter_outputs())[1].path.partition("/")[2]


def test_an_imported_image_was_made_by_the_tool_that_wrote_its_metadata(store, places, in_place):
    assert places.maker_of(image_of(in_place)) == Maker("A1111")
    source = {"name": "StableNew", "version": "0.2", "engine": "sketch", "engine_version": "3"}
    assert places.maker_of(image_of(samples.sealed_run(store, "held", source=source))) == Maker("sketch", "3")


@pytest.mark.parametrize(
    ("source", "maker"),
    [
        ({"name": "StableNew", "version": "1"}, Maker("StableNew", "1")),
        ({"name": "StableNew", "version": "1", "engine": "webui"}, Maker("webui", None)),
        ({"name": "x", "engine": "webui", "engine_version": "2"}, Maker("webui", "2")),
    ],
)
def test_a_run_was_made_by_its_engine_or_by_the_program_that_recorded_itself(source, maker):
    assert maker_of(Source(**source)) == maker


@pytest.mark.parametrize(("name", "kind"), [("sketch", "algorithmicMedia"), ("webui", "trainedAlgorithmicMedia")])
def test_what_no_model_made_is_not_said_to_be_of_a_trained_one(name, kind):
    assert Maker(name).digital_source_type == f"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"
