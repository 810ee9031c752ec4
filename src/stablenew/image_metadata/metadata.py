"""What an image says about how it was made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from stablenew.image_metadata.containers.container import EmbeddedText

Scalar: TypeAlias = str | int | float | bool
Kind: TypeAlias = Literal["image", "grid", "preview", "input"]

READER_VERSION: Final = 4
"""Grows whenever the same bytes give other derived facts, so that who keeps these can read again."""


class Tool(StrEnum):
    """The programs whose metadata is known, as they are called in records."""

    A1111 = "A1111"
    FORGE = "Forge"
    FORGE_CLASSIC = "Forge Classic"
    FORGE_NEO = "Forge Neo"
    REFORGE = "reForge"
    EASY_REFORGE = "EasyReforge"
    SD_NEXT = "SD.Next"
    STABILITY_MATRIX = "Stability Matrix"
    CIVITAI = "Civitai"
    TENSOR_ART = "TensorArt"
    COMFYUI = "ComfyUI"
    INVOKEAI = "InvokeAI"
    NOVELAI = "NovelAI"
    FOOOCUS = "Fooocus"
    RUINED_FOOOCUS = "RuinedFooocus"
    SWARMUI = "SwarmUI"
    DRAW_THINGS = "Draw Things"
    EASY_DIFFUSION = "Easy Diffusion"
    MIDJOURNEY = "Midjourney"
    HUGGING_FACE = "Hugging Face Space"


@dataclass(frozen=True, slots=True)
class Lora:
    """One LoRA that took part."""

    name: str
    weight: float | None = None
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image that this one was made from."""

    name: str
    role: Literal["init", "reference"] = "reference"
    """`init`: its pixels were painted on; `reference`: it guided."""
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """What a reader derived from the texts; each reader fills in what its tool says."""

    tool: str | None = None
    tool_version: str | None = None
    prompt: str | None = None
    """None where nothing is said, empty where it is said to be empty."""
    negative_prompt: str | None = None
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    """The settings of `formats.settings` first, then every other scalar under the tool's own name."""
    loras: tuple[Lora, ...] = ()
    embeddings: tuple[str, ...] = ()
    input_images: tuple[InputImage, ...] = ()
    kind: Kind = "image"
    """`preview`: written by a node that only shows; `input`: loaded and passed on, not generated."""
    made_at: str | None = None
    """ISO 8601, as the metadata says it; without an offset it is the local time of an unknown machine."""
    notes: tuple[str, ...] = ()
    """What a reader could not decide."""


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """Everything one file says: the facts of its format, its raw texts, and what was derived from these."""

    media_type: str
    width: int | None
    """Of the image itself; `generation.settings` may say another size, that of the first pass."""
    height: int | None
    raw: tuple[EmbeddedText, ...]
    """Every text whole, whether it was understood or not."""
    generation: Generation
    """Derived: a cache of what `reader` made of `raw`."""
    reader: str | None = None
    """The module that derived it; None when nothing was derived."""
    reader_version: int = READER_VERSION
    has_c2pa: bool = False
    c2pa_generator: str | None = None
    """The program that a C2PA manifest names as the maker; unverified."""
    is_ai_declared: bool = False
    """A manifest or an IPTC field says that a trained model made it; unverified."""
    rating: int | None = None
    """Stars as XMP or EXIF give them; -1 is rejected."""
    problems: tuple[str, ...] = ()
    """What could not be read."""

    @property
    def has_generation_data(self) -> bool:
        """Whether anything says how the image was generated; a C2PA claim alone does not."""
        return self.reader is not None

    @property
    def tool(self) -> str | None:
        """The program that made it, by its metadata or its C2PA manifest."""
        return self.generation.tool or self.c2pa_generator
