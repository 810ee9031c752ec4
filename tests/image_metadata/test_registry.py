"""The readers are asked one after the other, and none that stumbles keeps the next from being asked."""

from stablenew.image_metadata.containers.container import Container
from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.metadata import Generation
from stablenew.image_metadata.registry import READERS, Reader, derive_generation


def test_a_reader_that_stumbles_is_named_and_the_next_one_is_asked(monkeypatch):
    found = Generation(prompt="a quay")

    def stumble(_evidence):
        raise KeyError("x")

    readers = (Reader("first", stumble), Reader("second", lambda _: None), Reader("third", lambda _: found))
    monkeypatch.setattr("stablenew.image_metadata.registry.READERS", readers)
    container = Container()
    assert derive_generation(Evidence(container)) == ("third", found)
    assert container.problems == ["the reader first stumbled: KeyError"]


def test_texts_that_nobody_understands_give_an_empty_generation():
    assert derive_generation(Evidence(Container())) == (None, Generation())


def test_a_reader_is_kept_under_a_name_of_its_own():
    assert len({reader.name for reader in READERS}) == len(READERS)
