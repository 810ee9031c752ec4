"""Every reader of a tool's texts, in the order in which they are asked. Pure.

The order matters where texts look alike: a tool that writes a graph of ComfyUI or a text of the WebUIs beside its own
is asked before these two.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from stablenew.image_metadata.evidence import Evidence
from stablenew.image_metadata.metadata import Generation
from stablenew.image_metadata.tools.a1111 import read_a1111
from stablenew.image_metadata.tools.civitai import read_civitai
from stablenew.image_metadata.tools.comfyui import read_comfyui
from stablenew.image_metadata.tools.draw_things import read_draw_things
from stablenew.image_metadata.tools.easy_diffusion import read_easy_diffusion
from stablenew.image_metadata.tools.fooocus import read_fooocus
from stablenew.image_metadata.tools.hugging_face import read_hugging_face
from stablenew.image_metadata.tools.invokeai import read_invokeai
from stablenew.image_metadata.tools.midjourney import read_midjourney
from stablenew.image_metadata.tools.novelai import read_novelai
from stablenew.image_metadata.tools.plain_values import read_plain_values
from stablenew.image_metadata.tools.stability_matrix import read_stability_matrix
from stablenew.image_metadata.tools.swarmui import read_swarmui
from stablenew.image_metadata.tools.tensorart import read_tensorart


class Reader(NamedTuple):
    """One reader and the name under which what it derives is kept."""

    name: str
    read: Callable[[Evidence], Generation | None]


READERS: Final = (
    Reader("swarmui", read_swarmui),
    Reader("fooocus", read_fooocus),
    Reader("invokeai", read_invokeai),
    Reader("tensorart", read_tensorart),
    Reader("stability_matrix", read_stability_matrix),
    Reader("easy_diffusion", read_easy_diffusion),
    Reader("hugging_face", read_hugging_face),
    Reader("draw_things", read_draw_things),
    Reader("midjourney", read_midjourney),
    Reader("novelai", read_novelai),
    Reader("civitai", read_civitai),
    Reader("comfyui", read_comfyui),
    Reader("a1111", read_a1111),
    Reader("plain_values", read_plain_values),
)
_STUMBLES: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What hostile texts could make a reader raise. The next one is asked then, and the raw texts are kept anyway."""


def derive_generation(evidence: Evidence) -> tuple[str | None, Generation]:
    """The name of the first reader that understands the texts, and what it makes of them."""
    for reader in READERS:
        try:
            found = reader.read(evidence)
        except _STUMBLES as error:
            evidence.container.report(f"the reader {reader.name} stumbled: {type(error).__name__}")
            continue
        if found is not None:
            return reader.name, found
    return None, Generation()
