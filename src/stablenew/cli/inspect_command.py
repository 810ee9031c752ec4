"""`stablenew inspect`: what any image says about how it was made."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stablenew.cli.console import BOLD, DIM, Output
from stablenew.errors import FAILURE, ConfigError

if TYPE_CHECKING:
    from stablenew.image_metadata.metadata import Generation, ImageMetadata

_BESIDE = {".txt", ".json"}
_LONGEST_SIDECAR = 16 * 1024 * 1024


def inspect(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images, videos, or the files beside them.")],
    raw: Annotated[bool, typer.Option("--raw", help="Also print every text as it stands in the file.")] = False,
) -> int:
    """Show what images say about how they were made; exit 1 when one says nothing or cannot be read."""
    out: Output = ctx.obj
    if folder := next((path for path in files if path.is_dir()), None):
        raise ConfigError(f"{folder} is a folder; name the files in it: {folder}/*.png")
    entries: list[dict[str, Any]] = []
    for path in files:
        said, sidecar, error = _read(path)
        entries.append(_entry(path, said, sidecar, error))
        if error:
            out.warn(error)
        elif said:
            _show(out, path, said, sidecar, raw=raw)
    out.json({"files": entries})
    return 0 if all(entry["says_something"] for entry in entries) else FAILURE


def _read(path: Path) -> "tuple[ImageMetadata | None, str | None, str | None]":
    """What a file says, the file beside it that said it, and why it could not be read."""
    from stablenew.image_metadata.reading import read_image_metadata, read_sidecar

    try:
        if path.suffix.lower() in _BESIDE:
            return read_sidecar(_read_bytes(path), path.name), None, None
        with path.open("rb", buffering=0) as file:
            said = read_image_metadata(file)
    except OSError as error:
        return None, None, f"{path}: {error.strerror or error}"
    if said.has_generation_data:
        return said, None, None
    return (*_read_beside(path, said), None)


def _read_beside(path: Path, said: "ImageMetadata") -> "tuple[ImageMetadata, str | None]":
    """The same image with what a file beside it says, if there is one."""
    from dataclasses import replace

    from stablenew.image_metadata.reading import read_sidecar
    from stablenew.image_metadata.sidecars import sidecar_names

    for name in sidecar_names(path.name):
        try:
            found = read_sidecar(_read_bytes(path.with_name(name)), name, path.name)
        except OSError:
            continue
        if found.has_generation_data:
            whole = replace(said, raw=(*said.raw, *found.raw), generation=found.generation, reader=found.reader)
            return whole, name
    return said, None


def _read_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST_SIDECAR)


def _entry(path: Path, said: "ImageMetadata | None", sidecar: str | None, error: str | None) -> dict[str, Any]:
    is_telling = said is not None and (said.has_generation_data or said.has_c2pa)
    facts = asdict(said) if said else {}
    return {"path": str(path), "error": error, "says_something": is_telling, "sidecar": sidecar, **facts}


def _show(out: Output, path: Path, said: "ImageMetadata", sidecar: str | None, *, raw: bool) -> None:
    out.print(str(path), style=BOLD)
    rows = [("image", _describe_image(said)), *_rows(said, sidecar)]
    out.facts((f"  {name}", value) for name, value in rows if value)
    if raw:
        for text in said.raw:
            out.print(f"  {text.place}:{text.key}", style=DIM)
            out.print(text.text)
    out.print("")


def _describe_image(said: "ImageMetadata") -> str:
    size = f", {said.width} x {said.height}" if said.width else ""
    stars = f", rated {said.rating}" if said.rating is not None else ""
    return f"{said.media_type}{size}{stars}"


def _rows(said: "ImageMetadata", sidecar: str | None) -> list[tuple[str, str]]:
    from stablenew.image_metadata.containers.packed_text import NEEDS_BROTLI

    generation = said.generation
    if not said.has_generation_data:
        is_closed = said.has_c2pa or NEEDS_BROTLI in said.problems
        nothing = "" if is_closed else "nothing about how it was made"
        return [("says", nothing), ("c2pa", _describe_c2pa(said)), *_problem_rows(said)]
    return [
        ("tool", _describe_tool(generation)),
        ("beside", sidecar or ""),
        ("kind", generation.kind if generation.kind != "image" else ""),
        ("prompt", generation.prompt or ""),
        ("negative", generation.negative_prompt or ""),
        *_setting_rows(generation),
        (
            "loras",
            ", ".join(f"{lora.name}{'' if lora.weight is None else f' {lora.weight:g}'}" for lora in generation.loras),
        ),
        ("embeddings", ", ".join(generation.embeddings)),
        ("made from", ", ".join(image.name for image in generation.input_images)),
        ("made at", generation.made_at or ""),
        ("c2pa", _describe_c2pa(said)),
        *(("note", note) for note in generation.notes),
        *_problem_rows(said),
    ]


def _describe_tool(generation: "Generation") -> str:
    """The tool with its version, which many write with their name before it."""
    tool, version = generation.tool or "unknown", generation.tool_version or ""
    return version if version.casefold().startswith(tool.casefold()) else f"{tool} {version}".rstrip()


def _describe_c2pa(said: "ImageMetadata") -> str:
    if not said.has_c2pa:
        return ""
    claim = ", which declares it made by a trained model" if said.is_ai_declared else ""
    return f"a manifest by {said.c2pa_generator}{claim} (not verified)"


def _problem_rows(said: "ImageMetadata") -> list[tuple[str, str]]:
    from stablenew.image_metadata.containers.packed_text import NEEDS_BROTLI

    return [("note" if problem == NEEDS_BROTLI else "problem", problem) for problem in said.problems]


def _setting_rows(generation: "Generation") -> list[tuple[str, str]]:
    from stablenew.formats.settings import BY_NAME

    settings = generation.settings
    size = f"{settings['width']} x {settings['height']}" if {"width", "height"} <= settings.keys() else ""
    shown = [(name, str(settings[name])) for name in BY_NAME if name in settings and name not in ("width", "height")]
    others = [f"{name}: {value}" for name, value in settings.items() if name not in BY_NAME]
    return [*shown, ("size", size), ("other", ", ".join(others))]
