"""Values as the index stores them: words of prompts, packed output lists, seeds beyond 64 bits."""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from stablenew.formats.digest import PREFIX
from stablenew.formats.strict_json import MAX_SAFE_INTEGER
from stablenew.store.run_folder import OUTPUTS, output_name

_UNSPACED = re.compile("([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9d])")


def searchable(text: str) -> str:
    """`text` with spaces around each character of scripts that write no spaces between words.

    Otherwise the tokenizer would take a whole sentence for one word.
    """
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def match_phrase(text: str, *, is_prefix: bool = False) -> str:
    """The FTS5 expression for `text` as a phrase; with `is_prefix` its last word is a prefix."""
    quoted = searchable(text).replace('"', '""')
    return f'"{quoted}"{" *" if is_prefix else ""}'


MAX_SHOWN_OUTPUTS: Final = 8
"""How many outputs a job summary shows."""


DIGEST_BYTES: Final = 16
_SHA256_DIGITS: Final = 8
_NAME_SEPARATOR: Final = "\x1f"
_MAX_DIGITS: Final = 9


def pack_digest(digest: str, sha256: str | None = None) -> bytes:
    """A digest as 16 bytes; the empty text, which stands for a whole run, as none.

    With the SHA-256 of the same bytes its beginning follows, so that files of one digest can be told apart.
    """
    return bytes.fromhex(digest.removeprefix(PREFIX) + (sha256 or "")[:_SHA256_DIGITS])


def unpack_digest(packed: bytes) -> str:
    """The digest that `pack_digest` packed."""
    return f"{PREFIX}{packed[:DIGEST_BYTES].hex()}"


def store_path(path: str | None, variant: int, stage: str, digest: str, media_type: str) -> int | str | None:
    """A path in the run as a number, where it is the one that the format gives that output of a stage."""
    if path is None:
        return None
    start = f"{OUTPUTS}/{variant:04d}-{stage}-"
    number = path[len(start) :].partition(".")[0]
    is_number = number.isdecimal() and number.isascii() and len(number) <= _MAX_DIGITS
    if is_number and output_name(variant, stage, int(number), digest, media_type) == path:
        return int(number)
    return path


def read_path(stored: int | str | None, variant: int, stage: str, digest: str, media_type: str) -> str | None:
    """The path that `store_path` stored."""
    return output_name(variant, stage, stored, digest, media_type) if isinstance(stored, int) else stored


def join_names(names: Sequence[str]) -> str | None:
    """Names of settings as one text, which the index stores once for all variants that have the same."""
    return "".join(f"{_NAME_SEPARATOR}{name}" for name in names) or None


def is_joined(text: str) -> bool:
    """Whether a word is one that `join_names` made: no other begins with the separator."""
    return text.startswith(_NAME_SEPARATOR)


def split_names(text: str) -> list[str]:
    """The names that `join_names` joined."""
    return text.split(_NAME_SEPARATOR)[1:]


def type_label(media_type: str) -> str:
    """A media type as it is shown and searched: `png NUL image/png`."""
    return f"{media_type.rpartition('/')[2]}\0{media_type}"


StoredSeed: TypeAlias = int | str | None
_LARGEST: Final = (1 << 63) - 1


def store_seed(seed: int | None) -> StoredSeed:
    """A seed in a form that SQLite can store and compare: beyond 63 bits as text, with its length in front."""
    return seed if seed is None or abs(seed) <= _LARGEST else f"{len(str(seed)):02d}{seed}"


def read_seed(stored: StoredSeed) -> int | None:
    """The seed that `store_seed` stored."""
    return int(stored[2:]) if isinstance(stored, str) else stored


def write_seed(stored: StoredSeed) -> int | str | None:
    """The seed as documents write it: beyond 2^53-1 as a string."""
    seed = read_seed(stored)
    return str(seed) if seed is not None and abs(seed) > MAX_SAFE_INTEGER else seed


def timestamp_of(milliseconds: int) -> str:
    """Milliseconds since 1970 as documents write them."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    from stablenew.formats.clock import format_timestamp  # noqa: PLC0415

    return format_timestamp(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds))
