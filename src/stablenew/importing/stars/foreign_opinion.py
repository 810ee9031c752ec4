"""ForeignOpinion: what somebody said about one image in another program, and by what the image can be found."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

PICK: Final = "pick"
REJECT: Final = "reject"
_MILLISECONDS_A_SECOND: Final = 1_000
_TICKS_A_SECOND: Final = 10_000_000
_TICKS_OF_1970: Final = 621_355_968_000_000_000


@dataclass(frozen=True, slots=True)
class ForeignOpinion:
    """What one image was given. Only what was said is set."""

    path: str
    """Where that program has the image: as it writes it, which may be on another machine."""
    via: str
    """The program."""
    rating: int | None = None
    """1 to 5."""
    flag: str | None = None
    tags: tuple[str, ...] = ()
    note: str | None = None
    said_at: datetime | None = None
    """When, as that program has it; None where it does not say."""
    sha256: str | None = None
    pixels_sha512: str | None = None
    """SHA-512 of the decoded pixels, where that program keeps it."""
    digest: str | None = None
    """Our own, where we wrote it there."""
    size_bytes: int | None = None
    author: str | None = None
    """Who said it, where that program has several users; None is the one who imports."""

    @property
    def says_something(self) -> bool:
        """Whether there is anything to take over."""
        return self.rating is not None or bool(self.flag or self.tags or self.note)


def from_ticks(ticks: object) -> datetime | None:
    """A local time of .NET, in tenths of microseconds since year 1."""
    if not isinstance(ticks, int) or ticks <= _TICKS_OF_1970:
        return None
    try:
        local = datetime.fromtimestamp((ticks - _TICKS_OF_1970) / _TICKS_A_SECOND, UTC).replace(tzinfo=None)
        return local.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def from_seconds(seconds: object) -> datetime | None:
    """A time in seconds since 1970."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def from_milliseconds(milliseconds: object) -> datetime | None:
    """A time in milliseconds since 1970."""
    if not isinstance(milliseconds, (int, float)) or isinstance(milliseconds, bool):
        return None
    try:
        return from_seconds(milliseconds / _MILLISECONDS_A_SECOND)
    except OverflowError:
        return None


def from_text(text: object) -> datetime | None:
    """A time as text; without an offset it is UTC, as SQLite writes it."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
