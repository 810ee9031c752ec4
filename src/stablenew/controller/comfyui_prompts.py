"""What one prompt of ComfyUI came to, as the hook inside it reports it: files with their nodes, times, the failure.

Each output node is read by itself: a graph may save the images of several samplers, and of several passes of one.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stablenew.controller.hook_messages import SavedFile
from stablenew.engines.comfyui.client import LEFT_OUT, describe_node_errors, describe_refusal
from stablenew.engines.comfyui.graph import Graph, check_graph
from stablenew.engines.comfyui.output_facts import read_facts
from stablenew.engines.comfyui.progress import ENDS
from stablenew.formats.clock import format_timestamp
from stablenew.formats.digest import digest_bytes
from stablenew.formats.media_type import sniff_media_type
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.graphs.outputs import GraphOutput, read_output, read_outputs
from stablenew.image_metadata.prompt_tags import find_loras, merge_loras
from stablenew.recording.images.image_input import ImageInput
from stablenew.recording.run_recorder import RunRecorder
from stablenew.recording.side_channel import attempt
from stablenew.recording.variant_record import DEFAULT_STAGE

_log = logging.getLogger("stablenew")
TAG_NODE: Final = "StableNewRecord"
_STATUS: Final = {"success": "completed", "error": "failed", "refused": "failed"}
_STARTS: Final = "execution_start"


@dataclass(frozen=True, slots=True)
class PromptReport:
    """A prompt that is through, or that ComfyUI was working on when it ended."""

    graph: Graph
    message: Mapping[str, Any]

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "PromptReport":
        """The report in a message of the hook; a workflow that cannot be understood is empty."""
        graph, _ = attempt(check_graph, message.get("graph"))
        return cls(graph or {}, message)

    @property
    def tags(self) -> list[str]:
        """The tags that nodes of ours give to the run."""
        texts = (node["inputs"].get("tags") for node in self.graph.values() if node["class_type"] == TAG_NODE)
        tags = (tag.strip() for text in texts if isinstance(text, str) for tag in text.split(","))
        return list(dict.fromkeys(tag for tag in tags if tag))

    @property
    def status(self) -> str:
        """The status of the run."""
        if any(kind == "execution_interrupted" for kind, _ in self._messages()):
            return "cancelled"
        said = str(self.message.get("status"))
        return said if said == "interrupted" else _STATUS.get(said, "completed")

    @property
    def was_refused(self) -> bool:
        """Whether ComfyUI did not take the prompt, so that nothing of it ran."""
        return bool(self.message.get("refusal"))

    @property
    def failure(self) -> str | None:
        """Why it ended before its time."""
        if self.status == "completed":
            return None
        if self.was_refused:
            return f"ComfyUI refused the prompt: {describe_refusal(self.message['refusal'])}"
        for kind, data in self._messages():
            if kind == "execution_interrupted":
                return "somebody interrupted the prompt in ComfyUI"
            if kind == "execution_error":
                said = f"{data.get('exception_type', 'error')}: {str(data.get('exception_message', '')).strip()}"
                return f"node {data.get('node_id')} ({data.get('node_type')}) failed: {said}"
        return "ComfyUI ended while it worked on the prompt" if self.status == "interrupted" else "the prompt failed"

    @property
    def times(self) -> tuple[str | None, str | None, float | None]:
        """When it began and ended, and how long it took in seconds, by the server's clock."""
        begun = next((_moment(data) for kind, data in self._messages() if kind == _STARTS), None)
        ended = next((_moment(data) for kind, data in self._messages() if kind in ENDS), None)
        if begun is None or ended is None or ended < begun:
            return None, None, None
        return format_timestamp(begun), format_timestamp(ended), (ended - begun).total_seconds()

    @property
    def files(self) -> list[SavedFile]:
        """The files that were saved or given to our node, or else those that were only shown; each once."""
        read = [attempt(SavedFile.from_message, fields)[0] for fields in self.message.get("images") or ()]
        files = {file.path: file for file in read if file is not None}
        kept = [file for file in files.values() if file.kind == "output" or self._is_given_to_us(file)]
        return kept or list(files.values())

    @property
    def cached_nodes(self) -> set[str]:
        """The nodes that ComfyUI says it did not run again."""
        kinds = (data for kind, data in self._messages() if kind == "execution_cached")
        return {str(node) for data in kinds for node in data.get("nodes") or ()}

    @property
    def notices(self) -> list[str]:
        """What a person should know although the prompt ran."""
        dropped = describe_node_errors({"node_errors": self.message.get("left_out")})
        return [LEFT_OUT.format(dropped)] if dropped else []

    def input_digests(self) -> dict[str, str]:
        """The digests of the images that the workflow loads, by the names it has for them."""
        found = {}
        for entry in self.message.get("inputs") or ():
            try:
                found[str(entry["name"])] = digest_bytes(Path(entry["path"]).read_bytes())
            except (OSError, KeyError, TypeError) as error:
                _log.warning("an input image cannot be read: %s", error)
        return found

    def _is_given_to_us(self, file: SavedFile) -> bool:
        return bool(self.graph.get(file.node or "", {}).get("class_type") == TAG_NODE)

    def _messages(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for item in self.message.get("messages") or ():
            if isinstance(item, list) and len(item) == 2 and isinstance(item[1], dict):
                yield str(item[0]), item[1]


def record_prompt(run: RunRecorder, report: PromptReport, files: list[SavedFile]) -> None:
    """Write a record for each way in which the files were made; one without files where there are none."""
    outputs = {file.node or "": _output_of(report.graph, file.node or "") for file in files}
    groups: dict[str, list[SavedFile]] = {}
    for file in files:
        groups.setdefault(_way_of(outputs[file.node or ""]), []).append(file)
    if not groups:
        _record_group(run, report, next(iter(read_outputs(report.graph)), None), [])
    for group in groups.values():
        _record_group(run, report, outputs[group[0].node or ""], _each_once(group))


def _record_group(
    run: RunRecorder, report: PromptReport, output: GraphOutput | None, files: list[tuple[SavedFile, ImageInput]]
) -> None:
    facts = _facts_of(output)
    began, ended, seconds = report.times
    seed = facts.get("seed")
    nodes = [file.node for file, _ in files]
    run.record_variant(
        prompt=(output.prompt if output else None) or "",
        negative_prompt=(output.negative_prompt if output else None) or "",
        images=[image for _, image in files],  # type: ignore[misc]  # they are read already
        settings=facts,
        actual={} if report.was_refused else facts | _origins(output, [file for file, _ in files]) | _noted(report),
        # the noise of a batch comes from one seed: alone it gives only a batch of one again
        seeds=[seed] * len(files) if isinstance(seed, int) and len(set(nodes)) == len(nodes) else None,
        parents=[_parent_of(output, report.input_digests())] * len(files),
        stage=_stage_of(report.graph, output, files),
        started_at=began,
        finished_at=ended,
        duration_seconds=seconds,
        status=report.status if report.failure else None,
        error=report.failure,
    )


def _output_of(graph: Graph, node: str) -> GraphOutput | None:
    """What the graph says of a node; nodes that only exist while it runs have the only output there is."""
    outputs = () if node in graph else read_outputs(graph)
    return read_output(graph, node) or (outputs[0] if len(outputs) == 1 else None)


def _facts_of(output: GraphOutput | None) -> dict[str, JsonValue]:
    if output is None:
        return {}
    facts = read_facts(output)
    loras = merge_loras(output.loras, find_loras([output.prompt]))
    return facts | ({"loras": [{"name": lora.name, "weight": lora.weight} for lora in loras]} if loras else {})


def _way_of(output: GraphOutput | None) -> str:
    """What tells images apart that were made in different ways."""
    return repr((output.prompt, output.negative_prompt, read_facts(output), output.is_generated)) if output else ""


def _each_once(files: list[SavedFile]) -> list[tuple[SavedFile, ImageInput]]:
    """The files with their images; what two nodes saved alike is one image, what one node saved twice is two."""
    found: list[tuple[SavedFile, ImageInput]] = []
    for file in files:
        image = file.read()
        if not any(image.data is not None and image.data == other.data and file.node != of.node for of, other in found):
            found.append((file, image))
    return found


def _origins(output: GraphOutput | None, files: list[SavedFile]) -> dict[str, JsonValue]:
    """Where the images come from: node and file of each, and the images that went in."""
    origins: dict[str, JsonValue] = {}
    if files:
        origins["saved_as"] = [{"node": file.node, "name": file.path.name} for file in files]
    images = output.input_images if output else ()
    if images:
        origins["input_images"] = [{"name": image.name, "role": image.role} for image in images]
    return origins


def _noted(report: PromptReport) -> dict[str, JsonValue]:
    return {"notices": [*report.notices]} if report.notices else {}


def _parent_of(output: GraphOutput | None, digests: Mapping[str, str]) -> str | None:
    """The image that was painted on, where it is one."""
    painted = [image.name for image in output.input_images if image.role == "init"] if output else []
    return digests.get(painted[0]) if len(painted) == 1 else None


def _stage_of(graph: Graph, output: GraphOutput | None, files: list[tuple[SavedFile, ImageInput]]) -> str:
    if output is None:
        return DEFAULT_STAGE
    if not output.is_generated:
        kinds = [str(graph[key]["class_type"]).casefold() for key in output.image_path]
        return "upscale" if any("upscale" in kind for kind in kinds) else "edit"
    has_init = any(image.role == "init" for image in output.input_images)
    if any(file.is_animated or _is_video(image) for file, image in files):
        return "img2video" if has_init else "txt2video"
    denoise = output.passes[0].settings.get("denoising_strength") if output.passes else None
    return "img2img" if has_init and isinstance(denoise, float | int) and denoise < 1 else "txt2img"


def _is_video(image: ImageInput) -> bool:
    return image.data is not None and sniff_media_type(image.data).startswith("video/")


def _moment(data: Mapping[str, Any]) -> datetime | None:
    stamp = data.get("timestamp")
    try:
        return datetime.fromtimestamp(stamp / 1000, UTC) if isinstance(stamp, int | float) else None
    except (OverflowError, OSError, ValueError):
        return None
