"""Runs in progress: planned, started, followed, stopped; and what they can be started with."""

import math
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from stablenew.errors import ConfigError
from stablenew.web.api import NO_STORE, Call, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stablenew.formats.pipeline_config import PipelineConfig
    from stablenew.pipeline.pack_library import PackLibrary
    from stablenew.pipeline.prompt_pack import PromptPack
    from stablenew.pipeline.recorded_plan import Plan
    from stablenew.pipeline.run_request import RunRequest
    from stablenew.web.request_bodies import RunBody

_MOST_DIGITS: Final = 9
_SHOWN_VARIANTS: Final = 8
_RUNS_FOR_ESTIMATE: Final = 20
_SIZES: Final = ("512x512", "512x768", "768x512", "768x768", "832x1216", "1024x1024", "1216x832", "1344x768")
"""What models of Stable Diffusion 1.5 and XL were trained on; engines name no sizes."""
_SHOWN_MEDIA: Final = {"image/png", "image/jpeg", "image/webp"}


def _library(call: Call) -> "PackLibrary":
    from stablenew.pipeline.pack_library import PackLibrary  # noqa: PLC0415

    return PackLibrary(call.context.controller.app_config.get("packs_dir"))


def _choices(call: Call) -> dict[str, Any]:
    from stablenew.engines.engine_registry import engine_names, takes_url  # noqa: PLC0415
    from stablenew.web.endpoints.engines import list_names  # noqa: PLC0415

    library = _library(call)
    config = call.context.controller.app_config
    return {
        "packs": library.names(),
        "packs_dir": str(library.folder.absolute()),
        "engines": [{"name": name, "is_server": takes_url(name)} for name in engine_names()],
        "engine": config.get("engine"),
        "engine_url": config.get("engine_url"),
        "learning_enabled": config.learning_enabled,
        "lists": {**list_names({}), "sizes": _SIZES},
        "settings": [{"name": name, "title": title} for name, title in _setting_titles()],
    }


def _setting_titles() -> "Iterator[tuple[str, str]]":
    """Every setting that a run can be given, by its dotted name and the name that people know it by."""
    from stablenew.formats.documents.stage_event import STAGES  # noqa: PLC0415
    from stablenew.formats.pipeline_config import setting_names  # noqa: PLC0415
    from stablenew.formats.settings import title_of  # noqa: PLC0415

    for stage in STAGES:
        for name in setting_names(stage):
            yield f"{stage}.{name}", title_of(name) + ("" if stage == STAGES[0] else f" ({stage})")


def _plan(call: Call) -> dict[str, Any]:
    from stablenew.pipeline.run_request import warnings_about  # noqa: PLC0415
    from stablenew.pipeline.variant_plan import VariantPlan  # noqa: PLC0415

    body = _body(call)
    config, plan, _, request = _understand(call, body)
    engine = body.engine or _usual_engine(call, body)
    return {
        "size": len(plan),
        "images": _count_images(config, plan),
        "combinations": plan.combinations if plan.combinations < 2**53 else None,
        "stages": [name for name, _ in config.stages],
        "variants": [
            {"label": _label(plan, variant.label), "prompt": variant.prompt.positive}
            for variant in plan[:_SHOWN_VARIANTS]
        ],
        "shares_seeds": isinstance(plan, VariantPlan) and plan.draws_seeds,
        "seconds_per_variant": _seconds_per_variant(call, engine),
        "warnings": [*warnings_about(plan), *_size_warning(plan, request)],
    }


def _count_images(config: "PipelineConfig", plan: "Plan") -> int | None:
    """How many images the first stage makes; None where a sweep varies that."""
    counts = {"txt2img.batch_size": config.txt2img.batch_size, "txt2img.n_iter": config.txt2img.n_iter}
    is_swept = any(axis.name in counts for axis in plan.sweeps)
    return None if is_swept else len(plan) * math.prod(counts.values())


def _label(plan: "Plan", label: str) -> str:
    """The label of a variant with the names that people know settings by."""
    from stablenew.formats.settings import title_of  # noqa: PLC0415

    for axis in plan.sweeps:
        label = label.replace(f"{axis.name}=", f"{title_of(axis.name.rpartition('.')[2])} ")
    return label


def _usual_engine(call: Call, body: "RunBody") -> str:
    """The engine that a run has when none is named."""
    controller = call.context.controller
    engine: str = controller.app_config.get("engine")
    recorded = controller.run_store.open(body.again).metadata.source.engine if body.again is not None else None
    return recorded or engine


def _body(call: Call) -> "RunBody":
    from stablenew.web.request_bodies import RunBody  # noqa: PLC0415

    body: RunBody = call.body(RunBody)
    return body


def _understand(call: Call, body: "RunBody") -> "tuple[PipelineConfig, Plan, PromptPack | None, RunRequest]":
    from stablenew.pipeline.run_request import RunRequest, plan_again, plan_pack  # noqa: PLC0415

    request = RunRequest(
        body.settings, body.sweeps, body.randomize, body.mode, body.limit, body.seed, body.action, body.tags
    )
    if body.again is not None:
        run = call.context.controller.run_store.open(body.again)
        return *plan_again(run, request, has_new_seeds=body.new_seeds), request
    pack = _pack(call, body)
    return *plan_pack(pack, request), pack, request


def _pack(call: Call, body: "RunBody") -> "PromptPack":
    from stablenew.pipeline.pack_library import build_typed_pack  # noqa: PLC0415

    if body.pack is not None:
        return _library(call).read(body.pack)
    if body.prompt is not None:
        return build_typed_pack(body.prompt, negative=(body.negative or "").strip())
    raise ConfigError("expected a pack, a prompt, or a run to run again")


def _size_warning(plan: "Plan", request: "RunRequest") -> list[str]:
    from stablenew.pipeline.run_request import check_plan_size  # noqa: PLC0415

    try:
        check_plan_size(plan, request)
    except ConfigError as error:
        return [str(error)]
    return []


def _seconds_per_variant(call: Call, engine: str) -> float | None:
    """How long a variant took recently with this engine; None when unknown."""
    history = call.context.controller.history
    rows = history.page(f'engine:"{engine}" status:completed', limit=_RUNS_FOR_ESTIMATE).rows
    timed = [row for row in rows if row["duration_seconds"] is not None and row["record_count"]]
    count = sum(row["record_count"] for row in timed)
    return sum(row["duration_seconds"] for row in timed) / count if count else None


def _start(call: Call) -> dict[str, Any]:
    from stablenew.pipeline.run_request import check_plan_size  # noqa: PLC0415

    body = _body(call)
    config, plan, pack, request = _understand(call, body)
    if not plan:
        raise ConfigError("there is nothing to run: the plan has no variants")
    check_plan_size(plan, request)
    controller = call.context.controller
    engine, url = _engine(call, body)
    controller.open_engine(engine, url)  # an engine that does not respond is reported now, not later
    learning = controller.app_config.learning_enabled
    return controller.jobs.start(config, plan=plan, pack=pack, engine=engine, url=url, learning=learning).to_dict()


def _engine(call: Call, body: "RunBody") -> "tuple[str | None, str | None]":
    """The engine and its address that the body asks for; a run runs again where it ran."""
    if body.again is None:
        return body.engine, body.url
    controller = call.context.controller
    return controller.choose_engine_again(controller.run_store.open(body.again), body.engine, body.url)


def _list(call: Call) -> dict[str, Any]:
    return {"running": [job.to_dict() for job in call.context.controller.jobs.jobs()]}


def _get(call: Call) -> dict[str, Any]:
    return call.context.controller.jobs.get(call.path["run_id"]).to_dict()


def _cancel(call: Call) -> dict[str, Any]:
    return call.context.controller.jobs.cancel(call.path["run_id"]).to_dict()


def _preview(call: Call) -> Response:
    text = call.path["number"]
    number = int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else -1
    preview = call.context.controller.jobs.get(call.path["run_id"]).previews.get(number)
    if preview is None or preview.image.media_type not in _SHOWN_MEDIA:
        return Response(status_code=204, headers=NO_STORE)  # pages may ask for a preview that is gone by now
    return Response(preview.image.data, media_type=preview.image.media_type, headers=NO_STORE)


ENDPOINTS: Final = (
    Endpoint("GET", "/api/choices", "Packs, engines and settings that a run can be made with.", _choices),
    Endpoint("POST", "/api/plans", "What a run would be: how many variants, which, how long.", _plan, (), "RunBody"),
    Endpoint("GET", "/api/running", "Runs of this program that wait, run, or ended recently.", _list),
    Endpoint("POST", "/api/running", "Start a run. Its id is in the answer.", _start, (), "RunBody"),
    Endpoint("GET", "/api/running/{run_id}", "How far a run is.", _get),
    Endpoint(
        "POST",
        "/api/running/{run_id}/cancel",
        "Stop a run; what is finished of it is kept.",
        _cancel,
        (),
        "NothingBody",
    ),
    Endpoint(
        "GET", "/previews/{run_id}/{number}", "The latest image of a running variant.", _preview, media_type="image/*"
    ),
)
