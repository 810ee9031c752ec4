"""What ComfyUI's history says of a finished prompt: its images, what ran for each, or why there are none."""

from collections.abc import Mapping
from typing import Any, Final

from stablenew.engines.comfyui.client import ComfyUIClient, ImageAddress
from stablenew.engines.comfyui.graph import describe_node
from stablenew.engines.comfyui.prompt import ComfyUIPrompt
from stablenew.engines.engine import EngineImage
from stablenew.engines.engine_http import is_out_of_memory
from stablenew.engines.image_reading import read_image
from stablenew.errors import Cancelled, EngineError
from stablenew.formats.media_type import sniff_media_type
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.reading import read_image_metadata

_FILE_LISTS: Final = ("images", "gifs", "videos")
"""Under which names nodes report images and videos; `gifs` is VideoHelperSuite's, for videos too."""
_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".mp4", ".webm", ".mov", ".mkv")


def read_media(data: bytes, prompt: ComfyUIPrompt) -> EngineImage:
    """An image or a video as a node saved it.

    Raises:
        EngineError: it is neither, or cut off.
    """
    media_type = sniff_media_type(data)
    if not media_type.startswith("video/"):
        return read_image(data, seed=prompt.seed, parent=prompt.parent)
    said = read_image_metadata(data, may_decode=False)
    return EngineImage(data, media_type, said.width or 0, said.height or 0, seed=prompt.seed, parent=prompt.parent)


def find_files(history: Mapping[str, Any]) -> list[tuple[str, ImageAddress]]:
    """Where the images are, each with its node: those that were saved, or else those that were only shown."""
    outputs = history.get("outputs") or {}
    found = [
        (
            str(node),
            ImageAddress(str(image["filename"]), str(image.get("subfolder") or ""), str(image.get("type") or "output")),
        )
        for node, output in outputs.items()
        for name in _FILE_LISTS
        for image in (output.get(name) or () if isinstance(output, dict) else ())
        if isinstance(image, dict) and str(image.get("filename", "")).lower().endswith(_ENDINGS)
    ]
    return [(node, address) for node, address in found if address.type == "output"] or found


def cached_nodes(history: Mapping[str, Any]) -> set[str]:
    """The nodes that the server did not run again, because it had kept what they gave."""
    messages = (history.get("status") or {}).get("messages") or ()
    return {str(node) for kind, data in messages if kind == "execution_cached" for node in data.get("nodes") or ()}


def facts_of(prompt: ComfyUIPrompt, nodes: tuple[str, ...]) -> dict[str, JsonValue]:
    """What ran for the first image; where images of other nodes were made otherwise, `by_node` has that of each."""
    facts = {node: prompt.actual(node) for node in dict.fromkeys(nodes)}
    first = facts[nodes[0]]
    if all(other == first for other in facts.values()):
        return first
    by_node: list[JsonValue] = [
        {**said, "node": node, "images": [number for number, of in enumerate(nodes) if of == node]}
        for node, said in facts.items()
    ]
    return {**first, "by_node": by_node}


def raise_failure(client: ComfyUIClient, prompt: ComfyUIPrompt, history: Mapping[str, Any]) -> None:
    """Nothing, if the prompt succeeded.

    Raises:
        Cancelled: somebody interrupted it.
        EngineError: a node failed; it is named.
    """
    status = history.get("status") or {}
    if status.get("status_str") in (None, "success"):
        return
    for kind, data in status.get("messages") or ():
        if kind == "execution_interrupted":
            raise Cancelled("somebody interrupted the prompt in ComfyUI")
        if kind == "execution_error":
            said = f"{data.get('exception_type', 'error')}: {str(data.get('exception_message', '')).strip()}"
            if is_out_of_memory(said):
                raise EngineError(client.explain_memory(said))
            raise EngineError(f"{describe_node(prompt.graph, str(data.get('node_id')))} failed: {said}")
    raise EngineError("ComfyUI could not finish the workflow; its window says why")
