"""An image is named by the beginning of its digest, where that is enough."""

import pytest

from stablenew import JobHistory, RunStore
from stablenew.controller.light_table.image_names import find_digest
from stablenew.errors import ConfigError
from tests.controller.light_table_stores import add_images


@pytest.fixture
def named(tmp_path):
    """A history of two images, and their digests."""
    digests = add_images(RunStore(tmp_path / "runs"), "first", {"seed": 1}, {"seed": 2})
    history = JobHistory(tmp_path / "runs")
    history.refresh(is_patient=True)
    yield history, digests
    history.close()


def test_a_digest_is_found_by_its_beginning_in_either_case(named):
    history, (first, second) = named
    assert find_digest(history, first) == first
    assert find_digest(history, second[7:15]) == second
    assert find_digest(history, second[:20].upper().replace("XXH", "xxh")) == second


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "8 or more"), ("0123456", "8 or more"), ("harbour1", "8 or more"), ("0" * 12, "no images have a digest")],
)
def test_what_names_no_image_is_refused(named, name, message):
    with pytest.raises(ConfigError, match=message):
        find_digest(named[0], name)


def test_a_beginning_that_two_images_share_is_refused(named, monkeypatch):
    history, _ = named
    shared = [f"xxh128:{'0' * 31}{last}" for last in "12"]  # nobody finds two such images
    monkeypatch.setattr(history, "digests", lambda _query: shared)
    with pytest.raises(ConfigError, match="2 images have a digest that begins with '00000000'"):
        find_digest(history, "00000000")
    assert find_digest(history, shared[1]) == shared[1]
