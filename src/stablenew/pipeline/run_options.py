"""RunOptions: how a run is carried out, apart from what it makes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stablenew.errors import ConfigError

if TYPE_CHECKING:
    from stablenew.engines.engine import CancelToken
    from stablenew.pipeline.run_events import RunEvent

CONTINUE: Final = "continue"
STOP: Final = "stop"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of one run. The defaults suit a script that wants its images.

    Raises:
        ConfigError: `on_variant_error` is neither `continue` nor `stop`.
    """

    on_event: "Callable[[RunEvent], object] | None" = None
    """Called with every event of the run as it happens; if it raises, the run goes on."""
    wants_previews: bool = False
    """Whether events carry images that are still being made, where the engine can show them."""
    on_variant_error: str = CONTINUE
    """`continue` with the next variant after one has failed, or `stop`."""
    keep_images: bool = True
    """Whether the result holds the bytes of the images, in memory."""
    learning: bool | None = None
    """Whether the run is recorded; None leaves that to the settings. A PipelineRunner records whatever it has a store
    or a listener for."""
    cancel: "CancelToken | None" = None
    """Ends the run as cancelled when it is asked to, with every finished variant kept."""

    def __post_init__(self) -> None:
        if self.on_variant_error not in {CONTINUE, STOP}:
            raise ConfigError(f"on_variant_error is {CONTINUE!r} or {STOP!r}, found {self.on_variant_error!r}")
