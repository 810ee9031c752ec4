"""What images of a WebUI depend on, as the server says: its files and their hashes, versions, extensions, options.

AUTOMATIC1111 and Forge report on themselves at `/internal/sysinfo` (`modules/sysinfo.py`); that takes them seconds, so
it is asked once. A server on this machine names paths, and a file that it has not hashed is hashed here.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from stablenew.engines.dependencies import (
    Dependencies,
    UsedFile,
    choose_flags,
    choose_libraries,
    installed_versions,
    is_local,
)
from stablenew.engines.extension_folders import read_extensions
from stablenew.engines.webui.client import WebUIClient
from stablenew.formats.common_names import checkpoint_stem
from stablenew.formats.documents.run_metadata import CustomNode
from stablenew.formats.json_safe import json_safe
from stablenew.formats.strict_json import JsonValue

_LISTS: Final = {
    "checkpoint": ("/sdapi/v1/sd-models", "model_name", "filename"),
    "vae": ("/sdapi/v1/sd-vae", "model_name", "filename"),
    "lora": ("/sdapi/v1/loras", "name", "path"),
}
"""Where the server lists its files, and the fields of name and path."""
_OPTIONS: Final = (
    "cross_attention_optimization", "randn_source", "eta_noise_seed_delta", "upcast_attn", "fp8_storage",
    "token_merging_ratio", "batch_cond_uncond", "emphasis", "comma_padding_backtrack", "enable_quantization",
    "pad_cond_uncond", "sd_unet", "diffusers_dtype", "cuda_dtype", "no_half", "no_half_vae",
)  # fmt: skip
"""Options of the server that no call names and that change images."""
_SHORT_COMMIT: Final = 8
_SHA256_DIGITS: Final = 64


class WebUIDependencies:
    """Remembers what a server used, and finds out the rest."""

    def __init__(self, client: WebUIClient) -> None:
        self._client = client
        self._used: dict[tuple[str, str], None] = {}
        """Kinds and names of files, in the order of their first use."""
        self._report: Mapping[str, Any] | None = None
        self._listed_loras: Any = None
        """The server's list, as it was when it was asked last."""

    def note_used(self, actual: Mapping[str, JsonValue], loras: Iterable[str]) -> None:
        """Images were made with these settings and LoRAs."""
        model, vae = actual.get("model"), actual.get("vae")
        if isinstance(model, str):
            self._used["checkpoint", model] = None
        if isinstance(vae, str) and vae.casefold() not in ("none", "automatic"):
            self._used["vae", vae] = None
        self._used |= {("lora", name): None for name in loras}

    def find_missing_loras(self, called: Iterable[str], actual: Mapping[str, JsonValue]) -> list[str]:
        """LoRAs that a prompt called and the server has not: it makes the image without them, and does not say so.

        Those whose hashes stand in the reply were there; of the others its list knows, if it gives one.
        """
        params = actual.get("generation_params")
        hashes = str(params.get("Lora hashes") or "") if isinstance(params, dict) else ""
        used = {entry.rpartition(":")[0].strip().strip('"') for entry in hashes.split(",")}
        doubtful = self._unlisted_loras(name for name in dict.fromkeys(called) if name not in used)
        if doubtful:  # in a list that is not there yet, or from before the file came
            self._listed_loras = self._client.find(_LISTS["lora"][0])
        return self._unlisted_loras(doubtful) if isinstance(self._listed_loras, list) else []

    def _unlisted_loras(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if not _find_entry(self._listed_loras, "lora", name)]

    def find(self, program: str, version: str) -> Dependencies:
        """All that is known; the server is asked for what is not known yet.

        Raises:
            EngineError: it does not answer.
        """
        if self._report is None:
            found = self._client.find("/internal/sysinfo")
            self._report = found if isinstance(found, dict) else {}
        return Dependencies(
            files=tuple(self._find_files()),
            versions=self._find_versions(program, version),
            custom_nodes=tuple(self._find_extensions()),
            device=self._find_device(),
            flags=(*choose_flags(self._say("Commandline", [])), *self._find_options()),
        )

    def _say(self, name: str, otherwise: Any) -> Any:
        said = (self._report or {}).get(name)
        return said if isinstance(said, type(otherwise)) else otherwise

    def _find_versions(self, program: str, version: str) -> dict[str, str]:
        commit = self._say("Commit", "")[:_SHORT_COMMIT]
        program_version = " ".join(filter(None, (self._say("Version", "") or version, commit)))
        named = {program: program_version, "python": self._say("Python", "")}
        libraries = choose_libraries(map(str, self._say("Packages", [])))
        found = {**named, **libraries, "stablenew": installed_versions().get("stablenew", "")}
        return {name: text for name, text in found.items() if text}

    def _find_extensions(self) -> Iterable[CustomNode]:
        for entry in self._say("Extensions", []):
            if isinstance(entry, dict) and entry.get("name"):
                fields = {"name": entry["name"], "commit": entry.get("commit"), "url": entry.get("remote")}
                yield CustomNode.model_validate(json_safe({key: str(value) for key, value in fields.items() if value}))

    def _find_device(self) -> str | None:
        torch = self._say("Torch env info", {})
        named = torch.get("nvidia_gpu_models") or torch.get("hip_runtime_version")
        if isinstance(named, list):
            named = ", ".join(map(str, named))
        return str(named) if named else None

    def _find_options(self) -> list[str]:
        options = self._client.find("/sdapi/v1/options")
        return choose_options(options if isinstance(options, dict) else {})

    def _find_files(self) -> Iterable[UsedFile]:
        lists = {kind: self._client.find(_LISTS[kind][0]) for kind, _ in self._used}
        for kind, name in self._used:
            entry = _find_entry(lists[kind], kind, name)
            path = Path(str(entry.get(_LISTS[kind][2]) or ""))
            yield UsedFile(
                name=path.name or name,
                kind=kind,
                path=path if is_local(self._client.url) and path.is_file() else None,
                sha256=_read_sha256(entry),
            )


def dependencies_inside(said: Mapping[str, Any]) -> Dependencies:
    """The dependencies of images, as a recorder inside a WebUI has reported them: its files lie on this machine."""
    versions = {str(said.get("program") or "webui"): said.get("version"), "python": said.get("python")}
    versions |= said.get("libraries") or {}
    return Dependencies(
        files=tuple(_used_inside(said.get("files") or ())),
        versions={name: str(version) for name, version in versions.items() if version},
        custom_nodes=tuple(read_extensions([said["extensions"]] if said.get("extensions") else [])),
        device=str(said.get("device") or "") or None,
        flags=(*choose_flags(said.get("arguments") or ()), *choose_options(said.get("options") or {})),
    )


def choose_options(options: Mapping[str, Any]) -> list[str]:
    """Of a WebUI's options those that change images, each with its value."""
    return [f"{name}={options[name]}" for name in _OPTIONS if isinstance(options.get(name), (str, int, float))]


def _used_inside(files: Iterable[Mapping[str, Any]]) -> Iterable[UsedFile]:
    for file in files:
        path = Path(str(file["path"]))
        yield UsedFile(path.name, str(file["kind"]), path if path.is_file() else None, _read_sha256(file))


def _read_sha256(entry: Mapping[str, Any]) -> str | None:
    sha256 = entry.get("sha256")
    return sha256.lower() if isinstance(sha256, str) and len(sha256) == _SHA256_DIGITS else None


def _find_entry(entries: Any, kind: str, name: str) -> Mapping[str, Any]:
    """The entry of a list that means `name`, as infotexts write it: with or without folder, ending or short hash."""
    wanted = checkpoint_stem(name).casefold()
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        names = (str(entry.get(field) or "") for field in (_LISTS[kind][1], "title", "alias"))
        if any(checkpoint_stem(known).casefold() == wanted for known in names if known):
            return entry
    return {}
