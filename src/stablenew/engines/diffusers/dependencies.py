"""What images of diffusers depend on: the files that were loaded, libraries, device, number type, ways to compute."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from stablenew.engines.dependencies import Dependencies, UsedFile, installed_versions
from stablenew.engines.diffusers.models import import_libraries
from stablenew.formats.settings import SETTINGS

_INDEX: Final = "model_index.json"
_WEIGHTS: Final = (".safetensors", ".bin")
_WORDS: Final = (".json", ".txt", ".model")
_VARIANT: Final = (".fp16.", ".fp32.", ".bf16.", ".ema.", ".non_ema.")
"""Marks in the names of files that are loaded only where somebody asks for them."""
_NAMED_PARTS: Final = {setting.diffusers_part for setting in SETTINGS if setting.diffusers_part}
"""Parts of a pipeline that a setting chooses; the others belong to the checkpoint."""


def find_dependencies(
    models: Iterable[str], loras: Iterable[Path], pipe: Any = None, device: str | None = None
) -> Dependencies:
    """The dependencies of images made with `models` (folders, files, names of a hub) and `loras`, `pipe` last."""
    files = [file for model in models for file in _files_of(model)]
    files += [UsedFile(path.name, "lora", path) for path in loras]
    return Dependencies(
        files=tuple(files),
        versions=_versions(),
        device=_describe_device(device) if device else None,
        dtype=str(getattr(pipe, "dtype", "")).removeprefix("torch.") or None,
        flags=tuple(_flags(pipe)),
    )


def _versions() -> dict[str, str]:
    torch, _ = import_libraries()
    cuda = {"cuda": str(torch.version.cuda)} if torch.version.cuda else {}
    return {**installed_versions(), **cuda}


def _describe_device(device: str) -> str:
    torch, _ = import_libraries()
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return device


def _flags(pipe: Any) -> Iterator[str]:
    """Ways to compute of which another one gives other last bits."""
    torch, _ = import_libraries()
    processors = getattr(_denoiser(pipe), "attn_processors", None)
    if isinstance(processors, dict):
        yield f"attention={','.join(sorted({type(processor).__name__ for processor in processors.values()}))}"
    kinds = [
        kind for kind in ("flash", "mem_efficient", "math") if getattr(torch.backends.cuda, f"{kind}_sdp_enabled")()
    ]
    yield f"attention_kernels={','.join(kinds)}"
    yield f"deterministic_algorithms={torch.are_deterministic_algorithms_enabled()}"
    yield f"float32_matmul_precision={torch.get_float32_matmul_precision()}"
    yield f"threads={torch.get_num_threads()}"
    yield f"cpu_capability={torch.backends.cpu.get_cpu_capability()}"


def _denoiser(pipe: Any) -> Any:
    return getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)


def _files_of(model: str) -> list[UsedFile]:
    path = Path(model).expanduser()
    if path.is_file():
        return [UsedFile(path.name, "checkpoint", path)]
    folder = path if path.is_dir() else _find_snapshot(model)
    return list(_files_in(folder, path.name)) if folder else [UsedFile(model, "checkpoint")]


def _find_snapshot(model: str) -> Path | None:
    """Where the hub's client has put a model of this name."""
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415
    except ImportError:
        return None
    with contextlib.suppress(LocalEntryNotFoundError, HFValidationError, OSError):
        return Path(snapshot_download(model, local_files_only=True))
    return None


def _files_in(folder: Path, name: str) -> Iterator[UsedFile]:
    """The files that a pipeline is loaded from: those of the parts that its index names."""
    for part in _parts_of(folder):
        files = sorted(file for file in (folder / part).iterdir() if file.is_file()) if part else [folder / _INDEX]
        has_safe = any(file.suffix == ".safetensors" for file in files)
        for file in files:
            is_taken = file.suffix in _WORDS or file.suffix == (_WEIGHTS[0] if has_safe else _WEIGHTS[1])
            if is_taken and not any(mark in file.name for mark in _VARIANT):
                kind = part if part in _NAMED_PARTS else "checkpoint"
                yield UsedFile(f"{name}/{f'{part}/' if part else ''}{file.name}", kind, file)


def _parts_of(folder: Path) -> list[str]:
    """The parts of a pipeline that have a folder; the first is the index itself."""
    try:
        index = json.loads((folder / _INDEX).read_bytes())
    except (OSError, ValueError):
        return []
    return ["", *sorted(part for part in index if isinstance(part, str) and (folder / part).is_dir())]
