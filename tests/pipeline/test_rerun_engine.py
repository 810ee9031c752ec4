"""Which engine runs a run again."""

import pytest

from stablenew.errors import ConfigError
from stablenew.formats.documents.run_metadata import PlanSummary, RunMetadata, Source
from stablenew.pipeline.rerun_engine import EngineChoice, choose_engine_again

PLAN = PlanSummary(mode="again", size=1, axes=())
URL = "http://127.0.0.1:7860"


def metadata(plan=PLAN, **source):
    return RunMetadata.model_construct(
        run_id="20261121-071009-123-k3v9q2m4xw", source=Source(name="StableNew", **source), variant_plan=plan
    )


@pytest.mark.parametrize(
    ("source", "said", "chosen"),
    [
        ({"engine": "sketch"}, {}, ("sketch", None)),
        ({"engine": "webui", "engine_url": URL}, {}, ("webui", URL)),
        ({"engine": "webui", "engine_url": URL}, {"engine": "webui"}, ("webui", URL)),
        ({"engine": "webui", "engine_url": URL}, {"url": "http://other:1"}, ("webui", "http://other:1")),
        ({"engine": "webui", "engine_url": URL}, {"engine": "comfyui"}, ("comfyui", None)),
        ({"engine": "webui", "engine_url": URL}, {"engine": "sketch"}, ("sketch", None)),
        ({"engine": "webui", "engine_url": URL}, {"known_url": "http://a:b@127.0.0.1:7860/"},
         ("webui", "http://a:b@127.0.0.1:7860/")),
        ({"engine": "webui", "engine_url": URL}, {"known_url": "http://a:b@127.0.0.1:7861"}, ("webui", URL)),
    ],
)  # fmt: skip
def test_the_engine_is_that_of_the_run_unless_another_is_named(source, said, chosen):
    assert choose_engine_again(metadata(**source), **said) == EngineChoice(*chosen)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"engine": "webui"}, "does not say at which address its webui was; say it: --url"),
        ({"engine": "farm"}, "made by the engine 'farm', which is not installed here; there are comfyui"),
        ({"engine": "comfyui", "plan": None}, "from a pipeline of its own"),
        ({}, "from a pipeline of its own"),
    ],
)
def test_what_cannot_run_as_it_did_is_refused_with_what_is_missing(fields, words):
    with pytest.raises(ConfigError, match=words):
        choose_engine_again(metadata(**fields))
