"""RunRecorder: record your own pipeline, whatever makes the images.

::

    with RunRecorder("runs", config={"steps": 30}) as run:
        for prompt in prompts:
            run.record_variant(prompt=prompt, images=[make_image(prompt)], settings={"steps": 30})
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stablenew.formats.clock import SYSTEM_CLOCK, Clock
from stablenew.formats.digest import digest_json
from stablenew.formats.documents.learning_record import LearningRecord
from stablenew.formats.documents.pipeline_result import GeneratedImage
from stablenew.formats.documents.stage_event import ErrorInfo
from stablenew.formats.model_base import SCHEMA_VERSION
from stablenew.formats.run_id import check_run_id, new_run_id
from stablenew.formats.strict_json import JsonValue, json_safe
from stablenew.recording.image_content import ImageLike, build_image, read_image
from stablenew.recording.recording_session import RecordingSession, RunDescription, build_source
from stablenew.recording.side_channel import SideChannel, describe
from stablenew.store.run import Run
from stablenew.store.run_store import RunStore


class RunRecorder:
    """One run of a pipeline that is not ours. Leaving the `with` block seals it.

    Recording is a side channel: a full disk or a bad permission is logged once and the block goes on. With
    `strict=True` it raises instead. An exception of the block itself seals the run as failed (Ctrl-C: as cancelled) and
    goes on its way.
    """

    def __init__(
        self,
        runs: RunStore | Path | str = "runs",
        *,
        config: Mapping[str, JsonValue] | None = None,
        name: str = "StableNew",
        engine: str | None = None,
        engine_version: str | None = None,
        packs: Sequence[Mapping[str, JsonValue]] = (),
        one_click_action: str | None = None,
        learning_tags: Sequence[str] = (),
        correlation: Mapping[str, JsonValue] | None = None,
        run_id: str | None = None,
        total: int | None = None,
        strict: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._store = runs if isinstance(runs, RunStore) else RunStore(runs)
        self._config: dict[str, JsonValue] = json_safe(dict(config or {}))
        self._options: dict[str, Any] = {
            "packs": tuple(packs),
            "one_click_action": one_click_action,
            "learning_tags": tuple(learning_tags),
            "correlation": dict(correlation or {}),
        }
        self._program = {"name": name, "engine": engine, "engine_version": engine_version}
        self._source: dict[str, JsonValue] = {}
        self._total = total
        self._strict = strict
        self._clock = clock
        self._channel = SideChannel("recording")
        self._recording: RecordingSession | None = None
        self._next_index = 0
        self.run_id = check_run_id(run_id) if run_id else new_run_id(clock.now())
        """Known from the first moment, also before anything is written."""
        self.run: Run | None = None
        """The run folder: open from `start`, sealed after `finish`; None when it could not be made."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.finish("cancelled")
        else:
            self.finish("failed", ErrorInfo(message=str(json_safe(describe(error))), type=type(error).__name__))

    @property
    def failure(self) -> str | None:
        """Why recording broke off, if it did."""
        return self._channel.summary()

    def start(self) -> None:
        """Make the run folder."""
        self._recording = self._call(self._start)
        self.run = self._recording.run if self._recording else None

    def _start(self) -> RecordingSession:
        self._source = build_source(**self._program)  # type: ignore[arg-type]
        description = RunDescription(run_id=self.run_id, config=self._config, source=self._source, **self._options)
        return RecordingSession(self._store, description, self._clock).start()

    def record_variant(
        self,
        *,
        prompt: str,
        images: ImageLike | Iterable[ImageLike],
        negative_prompt: str = "",
        settings: Mapping[str, JsonValue] | None = None,
        actual: Mapping[str, JsonValue] | None = None,
        seeds: Sequence[int] | None = None,
        parents: Sequence[str | None] | None = None,
        stage: str = "txt2img",
        label: str | None = None,
        overrides: Mapping[str, JsonValue] | None = None,
        started_at: str | None = None,
        duration_seconds: float | None = None,
        error: str | None = None,
    ) -> LearningRecord | None:
        """Record one executed variant with its images; when this returns, both survive a power cut.

        `settings` are those you asked for, `actual` those that ran, under the standard names (`steps`, `sampler`,
        `cfg_scale`, `seed`, `model`, …); `seeds` one for each image, and so are `parents`: the digest of the output
        that it was made from. Returns the record, or None when it could not be written.
        """
        record: LearningRecord | None = self._call(
            self._record,
            images,
            {
                "prompt": {"positive": prompt, "negative": negative_prompt},
                "requested": dict(settings or {}),
                "actual": dict(actual) if actual else None,
                "started_at": started_at or self._clock.timestamp(),
                "finished_at": self._clock.timestamp(),
                "duration_seconds": duration_seconds,
                "status": "failed" if error else "completed",
                "error": {"message": error, "stage": stage} if error else None,
            },
            {"label": label, "overrides": dict(overrides) if overrides else None},
            stage,
            seeds,
            parents,
        )
        return record

    def _record(
        self,
        images: ImageLike | Iterable[ImageLike],
        fields: dict[str, JsonValue],
        variant: dict[str, JsonValue],
        stage: str,
        seeds: Sequence[int] | None,
        parents: Sequence[str | None] | None,
    ) -> LearningRecord:
        index, self._next_index = self._next_index, self._next_index + 1
        outputs = _build_outputs(images, variant=index, stage=stage, seeds=seeds, parents=parents)
        info = {"index": index, "total": max(self._total or 0, index + 1), **variant}
        everything: dict[str, JsonValue] = {
            "kind": LearningRecord.KIND,
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "source": self._source,
            "correlation": self._options["correlation"] or None,
            "one_click_action": self._options["one_click_action"],
            "learning_tags": list(self._options["learning_tags"]) or None,
            "config_digest": digest_json(self._config),
            "variant": {key: value for key, value in info.items() if value is not None},
            **fields,
            "stages": [_stage_event(stage, fields, len(outputs))],
            "outputs": [image.reference.to_dict() for image in outputs],
        }
        record = LearningRecord.from_dict(json_safe({k: v for k, v in everything.items() if v is not None}))
        if self._recording is None:
            raise RuntimeError("the run was not started, or could not be; use `with RunRecorder(…) as run:`")
        self._recording.add_variant(record, outputs)
        return record

    def finish(self, status: str = "completed", error: ErrorInfo | None = None) -> None:
        """Seal the run. Doing it twice is the same as once."""
        recording, self._recording = self._recording, None
        if recording is not None and (sealed := self._call(recording.finish, status, error)) is not None:
            self.run = sealed

    def _call(self, function: Any, *args: Any) -> Any:
        return function(*args) if self._strict else self._channel.call(function, *args)


def _build_outputs(
    images: ImageLike | Iterable[ImageLike],
    *,
    variant: int,
    stage: str,
    seeds: Sequence[int] | None,
    parents: Sequence[str | None] | None,
) -> list[GeneratedImage]:
    is_one = isinstance(images, (bytes, str, Path)) or hasattr(images, "tobytes")
    many: list[Any] = [images] if is_one else list(images)  # type: ignore[arg-type]
    for name, given in (("seed", seeds), ("parent", parents)):
        if given is not None and len(given) != len(many):
            raise ValueError(f"expected a {name} for each of {len(many)} images, found {len(given)}")
    outputs = []
    for number, image in enumerate(many):
        data, pixel_digest = read_image(image)
        parent = parents[number] if parents is not None else None
        outputs.append(
            build_image(
                data,
                variant=variant,
                stage=stage,
                number=number,
                seed=seeds[number] if seeds is not None else None,
                role="final",
                pixel_digest=pixel_digest,
                parents=[parent] if parent else (),
            )
        )
    return outputs


def _stage_event(stage: str, fields: Mapping[str, JsonValue], count: int) -> dict[str, JsonValue]:
    return {
        "name": stage,
        "status": fields["status"],
        "started_at": fields["started_at"],
        "finished_at": fields["finished_at"],
        "duration_seconds": fields["duration_seconds"] or 0.0,
        "output_count": count,
        "requested": fields["requested"],
    }
