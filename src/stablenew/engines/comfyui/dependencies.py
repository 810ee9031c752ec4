"""What images of ComfyUI depend on: the files that workflows name, versions, custom nodes, the server's options.

ComfyUI knows no hashes. Where it runs on this machine, it names its folders (`/internal/folder_paths`), and files and
commits are read there; elsewhere only names are known.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from stablenew.engines.comfyui.client import ComfyUIClient
from stablenew.engines.comfyui.graph import Graph
from stablenew.engines.dependencies import Dependencies, UsedFile, choose_flags, installed_versions, is_local
from stablenew.engines.extension_folders import read_extensions

_FOLDERS: Final = {
    "ckpt_name": ("checkpoint", ("checkpoints",)),
    "unet_name": ("checkpoint", ("diffusion_models", "unet")),
    "vae_name": ("vae", ("vae",)),
    "lora_name": ("lora", ("loras",)),
    "clip_name": ("text_encoder", ("text_encoders", "clip")),
    "clip_name1": ("text_encoder", ("text_encoders", "clip")),
    "clip_name2": ("text_encoder", ("text_encoders", "clip")),
    "clip_name3": ("text_encoder", ("text_encoders", "clip")),
    "control_net_name": ("controlnet", ("controlnet",)),
    "style_model_name": ("style_model", ("style_models",)),
    "clip_vision_name": ("clip_vision", ("clip_vision",)),
    "model_name": ("model", ("upscale_models", "ultralytics", "ultralytics_bbox", "ultralytics_segm")),
}
"""Inputs of loaders that name a file: its kind, and the folders it may be in."""


class ComfyUIDependencies:
    """Remembers which files workflows named, and finds out the rest."""

    def __init__(self, client: ComfyUIClient) -> None:
        self._client = client
        self._used: dict[tuple[str, str], None] = {}
        """Inputs and names of files, in the order of their first use."""
        self._folders: Mapping[str, list[str]] | None = None

    def note_used(self, graph: Graph) -> None:
        """Images were made with this workflow."""
        self._used |= dict.fromkeys(find_file_inputs(graph))

    def find(self) -> Dependencies:
        """All that is known.

        Raises:
            EngineError: the server does not answer.
        """
        stats = self._client.ask("/system_stats")
        system = stats.get("system") or {}
        if self._folders is None:
            found = self._client.find("/internal/folder_paths") if is_local(self._client.url) else None
            self._folders = found if isinstance(found, dict) else {}
        devices = [str(device.get("name")) for device in stats.get("devices") or ()]
        versions = {
            "comfyui": system.get("comfyui_version"),
            "python": str(system.get("python_version") or "").partition(" ")[0],
            "torch": system.get("pytorch_version"),
            "stablenew": installed_versions().get("stablenew"),
        }
        return Dependencies(
            files=tuple(find_files(self._used, self._folders)),
            versions={name: str(version) for name, version in versions.items() if version},
            custom_nodes=tuple(read_extensions(self._folders.get("custom_nodes") or ())),
            device=", ".join(devices) or None,
            flags=choose_flags(system.get("argv") or ()),
        )


def dependencies_inside(graph: Graph, version: str, said: Mapping[str, Any]) -> Dependencies:
    """The dependencies of a workflow, as a recorder inside ComfyUI reported them: its folders lie on this machine."""
    folders = said.get("folders") or {}
    versions = {"comfyui": version, **{name: str(said.get(name) or "") for name in ("python", "torch")}}
    return Dependencies(
        files=tuple(find_files(dict.fromkeys(find_file_inputs(graph)), folders)),
        versions={name: text for name, text in versions.items() if text},
        custom_nodes=tuple(read_extensions(folders.get("custom_nodes") or ())),
        device=str(said.get("device") or "") or None,
        flags=choose_flags(said.get("arguments") or ()),
    )


def find_file_inputs(graph: Graph) -> list[tuple[str, str]]:
    """Input and file name wherever a workflow names a file."""
    pairs = (pair for node in graph.values() for pair in node["inputs"].items())
    return [(name, value) for name, value in pairs if name in _FOLDERS and isinstance(value, str)]


def find_files(used: Iterable[tuple[str, str]], folders: Mapping[str, list[str]]) -> Iterator[UsedFile]:
    """The files of a workflow; with a path where one of ComfyUI's folders has it."""
    for name, value in used:
        kind, places = _FOLDERS[name]
        relative = PurePosixPath(value.replace("\\", "/"))
        known = (Path(folder) / relative for place in places for folder in folders.get(place) or ())
        yield UsedFile(value, kind, next((path for path in known if path.is_file()), None))
