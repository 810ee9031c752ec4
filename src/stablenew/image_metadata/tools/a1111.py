"""AUTOMATIC1111 and what grew from it: Forge, reForge, SD.Next; and services that write the same text (Civitai)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from stablenew.formats.common_names import SD_NEXT_SIGMAS
from stablenew.formats.settings import BY_NAME
from stablenew.formats.strict_json import JsonValue
from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.grids import find_tiling
from stablenew.image_metadata.infotext import Infotext, parse_infotext, parse_parameters
from stablenew.image_metadata.metadata import Generation, Kind, Lora, Scalar, Tool
from stablenew.image_metadata.prompt_tags import find_embeddings, find_loras, merge_loras
from stablenew.image_metadata.settings import as_number, build_settings, find_standard_name, read_size
from stablenew.image_metadata.text_decoding import parse_json

_RECORDED: Final = frozenset({*BY_NAME, "distilled_cfg_scale", "subseed", "subseed_strength"})
_BY_VERSION: Final = (
    (re.compile(r"neo\b"), Tool.FORGE_NEO),
    (re.compile(r"classic\b"), Tool.FORGE_CLASSIC),
    (re.compile(r"f\d+\.\d+\.\d+v2-"), Tool.REFORGE),
    (re.compile(r"f[1-9]\d*\.\d+\.\d+-v"), Tool.EASY_REFORGE),
    (re.compile(r"f\d+\.\d+"), Tool.FORGE),
    (re.compile(r"comfy", re.IGNORECASE), Tool.COMFYUI),
    (re.compile(r"fooocus", re.IGNORECASE), Tool.FOOOCUS),
    (re.compile(r"[0-9a-f]{7,8}$"), Tool.SD_NEXT),
)
_SD_NEXT: Final = ({"Pipeline", "Operations"}, {"Backend"}, {"Parser"}, {"Latent sampler"})
"""Names that only SD.Next writes: since 2025, and from 2023 on."""
_TEXT_ONLY: Final = {"Version", "Model", "Sampler", "Created Date"}
_ENLARGED: Final = re.compile(r"hires|upscale|resize|refine", re.IGNORECASE)
_NODE_SAMPLER: Final = re.compile(r"[a-z0-9]+(_[a-z0-9+]+)+|euler|heun|lms|ddim")
_LONGEST_SEED: Final = 30
_GRID_SIZE: Final = re.compile(r"(\d+)x(\d+)")


def read_a1111(evidence: Evidence) -> Generation | None:
    """What the text of a WebUI says."""
    for text in evidence.iter_main_texts():
        if text.lstrip()[:1] in {"{", "["} and evidence.parse(text) is not None:
            continue
        found = parse_infotext(text)
        if found.is_generation or (found.has_negative and found.prompt):
            return _with_grid(build_generation(found), found.parameters, evidence)
    plain = evidence.text("parameters")
    if plain and evidence.parse(plain) is None:
        return Generation(prompt=parse_infotext(plain).prompt, notes=("the text has no parameters",))
    return _read_extras(evidence)


def build_generation(found: Infotext) -> Generation:
    """An infotext as a generation; the tool is told by its version and by names that only it has."""
    parameters = found.parameters
    hashes = _lora_hashes(parameters)
    return Generation(
        tool=_find_tool(parameters),
        tool_version=parameters.get("Version"),
        prompt=found.prompt,
        negative_prompt=found.negative_prompt if found.has_negative else None,
        settings=read_settings(parameters | _civitai_model(parameters) | _civitai_seed(parameters)),
        loras=merge_loras(find_loras([found.prompt, found.negative_prompt], hashes), _civitai_loras(parameters)),
        embeddings=tuple(dict.fromkeys((*find_embeddings([found.prompt, found.negative_prompt]), *_ti(parameters)))),
        made_at=parameters.get("Created Date"),
    )


def read_settings(parameters: Mapping[str, str]) -> dict[str, Scalar]:
    """Parameters as settings: numbers where they are numbers; hashes and versions stay texts."""
    typed = {
        name: value if "hash" in name.casefold() or name in _TEXT_ONLY or find_standard_name(name) else as_number(value)
        for name, value in parameters.items()
    }
    kind = parameters.get("Scheduler", "")
    if kind.endswith("Scheduler"):  # SD.Next gives the class of diffusers, which is what others call the sampler
        typed = {name: value for name, value in typed.items() if name != "Scheduler"} | {"Scheduler class": kind}
        typed.setdefault("Sampler", kind)
    sigma = parameters.get("Sampler sigma")
    if sigma and "Schedule type" not in typed:
        typed["Schedule type"] = {theirs: name for name, theirs in SD_NEXT_SIGMAS.items()}.get(sigma, sigma)
    return build_settings(typed)


def read_standard_settings(found: Infotext) -> dict[str, JsonValue]:
    """The parameters that have a standard name, under it; all of them stand under `generation_params` too."""
    settings = read_settings(found.parameters)
    known: dict[str, JsonValue] = {name: value for name, value in settings.items() if name in _RECORDED}
    return known | ({"generation_params": dict(found.parameters)} if found.parameters else {})


def _find_tool(parameters: Mapping[str, str]) -> str:
    if parameters.get("App") == "SD.Next" or any(names <= parameters.keys() for names in _SD_NEXT):
        return Tool.SD_NEXT
    version = parameters.get("Version", "")
    for pattern, tool in _BY_VERSION:
        if pattern.match(version):
            return tool
    if not version and any(name.startswith("Civitai") for name in parameters):
        return Tool.CIVITAI
    return Tool.COMFYUI if not version and _is_from_nodes(parameters) else Tool.A1111


def _is_from_nodes(parameters: Mapping[str, str]) -> bool:
    """Savers of ComfyUI write the same text; seeds over 32 bits and names of its samplers give them away."""
    seed, sampler = parameters.get("Seed", ""), parameters.get("Sampler", "")
    is_large = seed.isdecimal() and len(seed) < _LONGEST_SEED and int(seed) >= 2**32
    return is_large or bool(_NODE_SAMPLER.fullmatch(sampler))


def _lora_hashes(parameters: Mapping[str, str]) -> dict[str, str]:
    return dict(_pairs(parameters.get("Lora hashes", "")))


def _ti(parameters: Mapping[str, str]) -> list[str]:
    return [name for name, _ in _pairs(parameters.get("TI hashes", ""))]


def _pairs(text: str) -> list[tuple[str, str]]:
    found = (part.rpartition(":") for part in text.split(",")[:200])
    return [(name.strip(), value.strip()) for name, _, value in found if name.strip()]


def _civitai_model(parameters: Mapping[str, str]) -> dict[str, str]:
    """The checkpoint that Civitai names by model version, where the text names none."""
    for resource in _resources(parameters):
        if "Model" not in parameters and str(resource.get("type", "")).casefold() == "checkpoint":
            name = resource.get("modelName") or f"urn:air:civitai:{resource.get('modelVersionId')}"
            return {"Model": str(name)}
    return {}


def _civitai_seed(parameters: Mapping[str, str]) -> dict[str, str]:
    """The seed that Civitai was asked for, where the text has none: of other programs' images it writes -1."""
    if parameters.get("Seed", "-1") != "-1":
        return {}
    asked = parse_json(parameters.get("Civitai metadata", ""))
    seed = asked.get("seed") if isinstance(asked, dict) else None
    return {"Seed": str(seed)} if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 else {}


def _resources(parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    asked = parse_json(parameters.get("Civitai metadata", ""))
    inner = asked.get("resources") if isinstance(asked, dict) else None
    return _dicts(parse_json(parameters.get("Civitai resources", ""))) or _dicts(inner)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value[:200] if isinstance(item, dict)] if isinstance(value, list) else []


def _civitai_loras(parameters: Mapping[str, str]) -> Iterator[Lora]:
    """LoRAs that Civitai names by model version."""
    for resource in _resources(parameters):
        if str(resource.get("type", "")).casefold() in {"lora", "locon", "lycoris"}:
            name = resource.get("modelName") or f"urn:air:civitai:{resource.get('modelVersionId')}"
            weight = resource.get("weight", 1)
            yield Lora(str(name), float(weight) if isinstance(weight, (int, float)) else None)


def _with_grid(generation: Generation, parameters: Mapping[str, str], evidence: Evidence) -> Generation:
    kind: Kind = "grid" if _is_grid(parameters, evidence) else "image"
    return generation if kind == generation.kind else replace(generation, kind=kind)


def _is_grid(parameters: Mapping[str, str], evidence: Evidence) -> bool:
    """A grid says so (`Script`, `Grid`), or is several times as large as each of its images."""
    if parameters.get("Script", "").startswith(("X/Y/Z", "X/Y plot", "Prompt matrix")):
        return True
    grid = _GRID_SIZE.fullmatch(parameters.get("Grid", ""))
    if grid and grid.groups() != ("1", "1"):
        return True
    if any(_ENLARGED.search(name) for name in parameters):
        return False
    size = read_size(parameters.get("Size", ""))
    tiling = find_tiling(evidence.container, size.get("width"), size.get("height"))
    return tiling is not None and (tiling.across != tiling.down or "Batch size" in parameters)


def _read_extras(evidence: Evidence) -> Generation | None:
    """What the tab Extras writes when the image it enlarged said nothing."""
    text = evidence.text("postprocessing", "extras")
    if text is None:
        return None
    settings = read_settings(parse_parameters(text.strip()))
    return Generation(tool=Tool.A1111, settings=settings) if settings else None
