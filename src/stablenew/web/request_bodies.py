"""What requests that change something carry."""

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue

from stablenew.formats.described_model import DescribedModel
from stablenew.formats.documents.feedback_input import ComparisonInput, FeedbackInput
from stablenew.formats.model_base import Digest, Name, RunId

_LARGEST_ID = 2**31 - 1
_ACT_PATTERN = "^[A-Za-z0-9_-]{8,64}$"
Act = Annotated[str, Field(pattern=_ACT_PATTERN)]
"""A random idempotency key: feedback that is posted again under the same key counts once."""


class _Body(DescribedModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PostedFeedback(FeedbackInput):
    """Feedback as the page posts it: always under an idempotency key, because a page posts again after an error."""

    run_id: RunId
    act: Act


class FeedbackBody(_Body):
    """Feedback, in order."""

    says: Annotated[list[PostedFeedback], Field(min_length=1, max_length=2000)]


class PostedVote(ComparisonInput):
    """A comparison as the page posts it: always under an idempotency key."""

    winner_run_id: RunId
    loser_run_id: RunId
    act: Act


class VotesBody(_Body):
    """Comparisons, in order."""

    votes: Annotated[list[PostedVote], Field(min_length=1, max_length=200)]


class MoveBody(_Body):
    """Images of an album, in the order that they are to have, and where they go."""

    act: Act
    query: str
    """A search for the album, such as `album:Best`."""
    images: Annotated[list[Digest], Field(min_length=1, max_length=2000)]
    target: Digest
    """Another image of the album."""
    is_after: bool = False
    """Whether they go behind it; otherwise before it."""


class RestoreBody(_Body):
    """Images to take out of the trash; without `digests` all."""

    digests: Annotated[list[Digest], Field(min_length=1, max_length=2000)] | None = None


class CopiesBody(_Body):
    """What somebody says of two images that look alike."""

    first: Digest
    second: Digest
    is_same: bool | None
    """Whether they are one picture; null takes back what was said."""


class EmptyBody(_Body):
    """Emptying the trash, as `stablenew trash empty` does."""

    older: str | None = None
    """Only what was trashed longer ago: `30d`."""
    all_raters: bool = False
    """Also what others picked or gave 4 stars or more."""
    expected_count: Annotated[int, Field(ge=1)]
    """How many images the page has shown to go."""


class ExportBody(_Body):
    """Images to copy into a zip file."""

    ids: Annotated[list[Annotated[int, Field(ge=0, le=_LARGEST_ID)]], Field(min_length=1, max_length=2000)]
    """The index's ids."""
    template: Annotated[str, Field(min_length=1, max_length=300)] = "{date}-{seed}-{prompt:40}"
    """How the files are named; see `stablenew images --help`."""
    xmp: bool = False
    captions: bool = False
    settings: bool = False
    """Beside each image: what was said of it, its prompt for trainers, everything that is known of it."""


class GridBody(_Body):
    """A grid whose holes are to be filled: its search and the names of its settings."""

    query: str = ""
    x: str = ""
    y: str = ""
    panel: str = ""
    across: str = ""


class StepBody(_Body):
    """An act to take back, or one taken back to say again."""

    act: Act
    run_ids: Annotated[list[RunId], Field(min_length=1, max_length=2000)]
    as_act: Act | None = None
    """For redo: the name of the act it becomes."""


class ViewBody(_Body):
    """A search to keep under a name; without a search the name is forgotten."""

    name: str
    query: str | None = None


class SettingsBody(_Body):
    """Settings to change."""

    learning_enabled: bool | None = None
    rater: Annotated[str, Field(max_length=200)] | None = None


class RunBody(_Body):
    """A run to make. Its prompts come from a pack, from a text, or from a run that was."""

    pack: str | None = None
    """A name that `/api/packs` gives."""
    prompt: Annotated[str, Field(max_length=200_000)] | None = None
    """In the form of a TXT pack."""
    negative: Annotated[str, Field(max_length=50_000)] | None = None
    """With `prompt`: for the prompts that have no negative line of their own."""
    again: RunId | None = None
    new_seeds: bool = False
    """With `again`: let the engine choose other seeds."""
    engine: str | None = None
    url: str | None = None
    settings: list[str] = Field(default_factory=list)
    """`STAGE.KEY=VALUE`."""
    sweeps: list[str] = Field(default_factory=list)
    """`STAGE.KEY=V,V`."""
    randomize: list[str] = Field(default_factory=list)
    mode: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    action: str | None = None
    tags: list[Name] = Field(default_factory=list)


class EngineBody(_Body):
    """An engine to look at; by default that of the settings."""

    engine: str | None = None
    url: str | None = None


class WorkflowBody(_Body):
    """A workflow of ComfyUI."""

    workflow: Annotated[str, Field(max_length=3_000_000)]
    """Its JSON, in API format."""


class RoundBody(_Body):
    """A round of tuning to make: what `/api/tuning` proposes for the same query, ranges and size."""

    query: Annotated[str, Field(max_length=10_000)] = ""
    over: Annotated[str, Field(max_length=10_000)] = ""
    size: Annotated[int, Field(ge=2, le=64)] = 4
    prompt: Annotated[str, Field(max_length=200_000)] | None = None
    """By default one of those of the rated images."""
    engine: str | None = None
    url: str | None = None
    settings: list[str] = Field(default_factory=list)
    """`STAGE.KEY=VALUE`, of what is not tuned."""


class TunedPackBody(_Body):
    """Settings to keep as a prompt pack with a preset."""

    name: Annotated[str, Field(max_length=80)]
    settings: dict[str, JsonValue]
    """Values by dotted name."""
    prompts: Annotated[list[tuple[str, str]], Field(max_length=100)] = Field(default_factory=list)
    """Prompts and negative prompts."""


class VerifyBody(_Body):
    """How to verify."""

    deep: bool = False


class RepairBody(_Body):
    """What to repair."""

    run_ids: Annotated[list[RunId], Field(min_length=1, max_length=10_000)]


class TaskBody(_Body):
    """A scan of the store to start or to stop."""

    kind: Annotated[str, Field(pattern="^(verify|survey|pixels)$")]
    deep: bool = False
    stop: bool = False


_FolderPath = Annotated[str, Field(min_length=1, max_length=4096, pattern="^[^\\x00]+$")]


class FolderBody(_Body):
    """A folder of this machine."""

    path: _FolderPath


class ImportBody(_Body):
    """Folders to take in."""

    paths: Annotated[list[_FolderPath], Field(min_length=1, max_length=100)]
    watch: bool = False
    """Go on with what is saved there from now on."""


class WatchBody(_Body):
    """Whether a source is watched."""

    source: Annotated[str, Field(max_length=64)]
    watch: bool


class InviteBody(_Body):
    """What the next device may do."""

    role: Annotated[str, Field(pattern="^(look|rate)$")] = "rate"
    rater: Annotated[str, Field(max_length=200)] | None = None
    """The name under which its feedback is kept; without one the name that it chooses."""
    is_blind: bool = False
    """Whether what others think is hidden from it."""


class RevokeBody(_Body):
    """A device to take off."""

    device: Annotated[str, Field(min_length=1, max_length=200)]
    """Its id or its name."""


class NothingBody(_Body):
    """Nothing."""
