"""Every test has its own state and config folders, and nothing of the person who runs them."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.profiles import PROFILE

pytest_plugins = ["tests.lanes"]

# Before NumPy is imported. Matrices are small here, and threads that wait for each other beside other workers take ten
# times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("few", max_examples=10, deadline=None)
settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True)
settings.register_profile(
    "nightly",
    max_examples=2000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(PROFILE)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory, monkeypatch):
    for name in [name for name in os.environ if name.startswith("STABLENEW_")]:
        monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("machine")
    monkeypatch.setenv("STABLENEW_STATE_DIR", str(folder / "state"))
    monkeypatch.setenv("STABLENEW_CONFIG_DIR", str(folder / "config"))


@pytest.fixture(scope="session")
def tiny_diffusion(needs_diffusers):
    """The module of pipelines with random weights; importing it loads torch."""
    from tests.engines import tiny_diffusion

    return tiny_diffusion


@pytest.fixture
def store(tmp_path):
    from stablenew import RunStore

    return RunStore(tmp_path / "runs")
