r"""The building blocks of every document: strict, frozen, open models and the field types they are made of.

The rules keep this reader and every JSON Schema validator of one mind (see `schemas/README.md`): strings for times and
ids, `[0-9]` instead of `\d`, no variable-length pattern without a bar on newlines, integers that may be written `1.0`,
no NaN anywhere, unknown fields kept.
"""

import math
import re
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from stablenew.errors import InvalidDocument, NewerFormat
from stablenew.formats import output_path
from stablenew.formats import run_id as run_ids
from stablenew.formats.described_model import DescribedModel
from stablenew.formats.digest import DIGEST_PATTERN
from stablenew.formats.strict_json import MAX_SAFE_INTEGER, JsonValue, encode_json, parse_json

SCHEMA_MAJOR = 1
SCHEMA_VERSION = "1.0"

_NO_NEWLINE: dict[str, JsonValue] = {"not": {"pattern": "\\n"}}
_LARGEST_NUMBER = 1e308
_REASONS = {"extra_forbidden": "no such field", "missing": "missing"}

_MONTH_DAY = (
    "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])"
)
_LEAP_YEAR = "[12][0-9](?:0[48]|[2468][048]|[13579][26])|(?:1[26]|2[048])00"
_DATE = f"(?:[12][0-9]{{3}}-(?:{_MONTH_DAY})|(?:{_LEAP_YEAR})-02-29)"
_TIME = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
BIG_INTEGER_PATTERN = "^-?[1-9][0-9]{15,63}$"
_BIG_INTEGER = re.compile(BIG_INTEGER_PATTERN.replace("$", r"\Z"))
EXTENSION_KEY_PATTERN = "^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)+$"
_EXTENSION_KEY = re.compile(EXTENSION_KEY_PATTERN.replace("$", r"\Z"))
_LONGEST_EXTENSION_KEY = 253
_LONGEST_PLAIN = 1 << 16
_TIMESTAMP_LENGTH = len("2026-11-21T07:10:09.123Z")


def _integral(value: object) -> object:
    """JSON has one kind of number: 1.0 is the integer 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def refuse_bool(value: object) -> object:
    """A value that is not a truth value: to Python those are numbers, and to JSON they are not.

    Raises:
        ValueError: it is one.
    """
    if isinstance(value, bool):
        raise ValueError("Input should be a number")  # noqa: TRY004  # pydantic collects ValueError
    return value


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _big_integer(value: object) -> object:
    if isinstance(value, str) and _BIG_INTEGER.match(value):
        return int(value)
    return _integral(value)


def _write_big_integer(value: int) -> int | str:
    return value if abs(value) <= MAX_SAFE_INTEGER else str(value)


def _checked_copy(value: JsonValue) -> JsonValue:
    """`value` copied, if it is I-JSON: a frozen model shares no list or dict with whoever built it."""
    if _is_plain(value):
        return value
    try:
        return parse_json(encode_json(value))
    except (TypeError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(f"Input should be JSON: {error}") from None


def _is_plain(value: JsonValue) -> bool:
    """Whether `value` is a scalar that is I-JSON for certain, as nearly all settings are; other types are looked at."""
    match value:
        case str():
            return type(value) is str and value.isascii() and len(value) <= _LONGEST_PLAIN
        case int():
            return type(value) in (int, bool) and abs(value) <= MAX_SAFE_INTEGER
        case float():
            return type(value) is float and math.isfinite(value)
    return value is None


def _check_extension_keys(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for key in value:
        if not is_extension_key(key):
            raise ValueError(f"Input should have keys like `org.example.farm`, and has {key[:60]!r}")
    return value


def is_extension_key(text: str) -> bool:
    """Whether `text` can name an extension: a domain name in reverse, in lower case."""
    return len(text) <= _LONGEST_EXTENSION_KEY and _EXTENSION_KEY.match(text) is not None


def _refuse_device_name(value: str) -> str:
    if not run_ids.is_run_id(value):
        raise ValueError("Input should be no Windows device name")
    return value


Integer = Annotated[int, Field(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER), BeforeValidator(_integral)]
Count = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER), BeforeValidator(_integral)]
Number = Annotated[float, Field(ge=-_LARGEST_NUMBER, le=_LARGEST_NUMBER), BeforeValidator(refuse_bool)]
Seconds = Annotated[float, Field(ge=0, le=_LARGEST_NUMBER), BeforeValidator(refuse_bool)]
BigInteger = Annotated[
    int,
    Field(gt=-(10**64), lt=10**64),
    BeforeValidator(_big_integer),
    PlainSerializer(_write_big_integer, return_type=int | str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": -MAX_SAFE_INTEGER, "maximum": MAX_SAFE_INTEGER},
                {"type": "string", "pattern": BIG_INTEGER_PATTERN, **_NO_NEWLINE},
            ],
            "description": "An integer; beyond 2^53-1 as a decimal string, because JSON readers round larger numbers.",
        }
    ),
]
"""An int in Python, however large."""
Seed = BigInteger
"""ComfyUI's seeds reach 2^64-1."""

Digest = Annotated[str, Field(pattern=DIGEST_PATTERN, min_length=39, max_length=39)]
TIMESTAMP_PATTERN = f"^{_DATE}{_TIME}$"
SLUG_PATTERN = "^[a-z][a-z0-9_]{0,63}$"
"""A slug with its greatest length, for readers that check patterns alone."""
VERSION_PATTERN = f"^{SCHEMA_MAJOR}\\.(?:0|[1-9][0-9]{{0,3}})$"
MEDIA_TYPE_PATTERN = "^[a-z]+/[a-z0-9][a-z0-9.+-]*$"
Timestamp = Annotated[
    str,
    Field(
        pattern=TIMESTAMP_PATTERN,
        min_length=_TIMESTAMP_LENGTH,
        max_length=_TIMESTAMP_LENGTH,
        json_schema_extra={"format": "date-time"},
    ),
]
HYBRID_CLOCK_PATTERN = f"^{_DATE}{_TIME}-[0-9a-f]{{4}}$"
HybridClock = Annotated[
    str,
    Field(
        pattern=HYBRID_CLOCK_PATTERN,
        min_length=_TIMESTAMP_LENGTH + 5,
        max_length=_TIMESTAMP_LENGTH + 5,
    ),
]
RunId = Annotated[
    str,
    Field(
        pattern=run_ids.PATTERN,
        min_length=1,
        max_length=64,
        json_schema_extra={"not": {"anyOf": [{"pattern": "\\n"}, {"pattern": run_ids.DEVICE_NAMES}]}},
    ),
    AfterValidator(_refuse_device_name),
]
Slug = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", min_length=1, max_length=64, json_schema_extra=_NO_NEWLINE)]
"""A word of an open vocabulary: status, stage, role, op, flag. Readers keep words they do not know."""
Name = Annotated[str, Field(min_length=1, max_length=256)]
OutputPath = Annotated[
    str,
    Field(
        pattern=output_path.PATTERN,
        max_length=128,
        json_schema_extra=_NO_NEWLINE,
    ),
]
MediaType = Annotated[str, Field(pattern=MEDIA_TYPE_PATTERN, max_length=127, json_schema_extra=_NO_NEWLINE)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64)]
"""A SHA-256 in lower-case hex, as `sha256sum` prints it."""
Sha256OrPending = Annotated[
    str, Field(pattern="^(?:[0-9a-f]{64}|pending)$", max_length=64, json_schema_extra=_NO_NEWLINE)
]
Base64 = Annotated[
    str,
    Field(
        pattern="^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        max_length=8192,
        json_schema_extra=_NO_NEWLINE,
    ),
]
OriginPath = Annotated[
    str,
    Field(
        # No empty name, `.` or `..` between slashes, and none at either end; no control characters.
        pattern=r"^(?:\.{0,2}[^./\x00-\x1f][^/\x00-\x1f]*|\.{3,}[^/\x00-\x1f]*)"
        r"(?:/(?:\.{0,2}[^./\x00-\x1f][^/\x00-\x1f]*|\.{3,}[^/\x00-\x1f]*))*$",
        max_length=4096,
        json_schema_extra=_NO_NEWLINE,
    ),
]
"""A relative path beneath a folder outside the run."""
SchemaVersion = Annotated[
    str,
    Field(pattern=VERSION_PATTERN, max_length=6, json_schema_extra=_NO_NEWLINE),
]
Rating = Annotated[int, Field(ge=0, le=5), BeforeValidator(_integral)]
SafeJson = Annotated[Any, BeforeValidator(_checked_copy), WithJsonSchema({})]
"""Any I-JSON value."""
JsonObject = dict[str, SafeJson]
Extensions = Annotated[
    JsonObject,
    AfterValidator(_check_extension_keys),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {
                "pattern": EXTENSION_KEY_PATTERN,
                "maxLength": _LONGEST_EXTENSION_KEY,
                **_NO_NEWLINE,
            },
        }
    ),
]
"""What other programs add, each under a domain name of its own in reverse: `{"org.example.farm": …}`."""

Item = TypeVar("Item")
Array = Annotated[tuple[Item, ...], BeforeValidator(_as_tuple)]
"""A JSON array, an immutable tuple in Python."""


class WireModel(DescribedModel):
    """A part of a document: strict, frozen, and unknown fields are kept."""

    model_config = ConfigDict(
        strict=True,
        extra="allow",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )
    __pydantic_extra__: dict[str, SafeJson]

    def to_dict(self) -> dict[str, JsonValue]:
        """The JSON form: fields in the order of the format, only those that were given a value."""
        return self.model_dump(by_alias=True, exclude_unset=True, mode="json")

    def to_json(self) -> str:
        """The JSON form on one line, without a newline at the end: a line of a JSON Lines file."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    def encode_line(self) -> bytes:
        """The bytes of `to_json`."""
        return self.to_json().encode("utf-8")

    def encode_document(self) -> bytes:
        """The JSON form indented for people, with a newline at the end: a whole file."""
        return self.model_dump_json(by_alias=True, exclude_unset=True, indent=2).encode("utf-8") + b"\n"


class Document(WireModel):
    """A whole document: it names its kind and the version of its schema."""

    KIND: ClassVar[str]

    def model_post_init(self, _context: object, /) -> None:
        """Count kind and version as given, so that they are always written."""
        self.__pydantic_fields_set__.update(("kind", "schema_version"))

    @classmethod
    def from_dict(cls, value: JsonValue) -> Self:
        """The document that `value` (parsed JSON) is.

        Raises:
            NewerFormat: its MAJOR version is later than ours.
            InvalidDocument: it does not fit the schema; the message names the first fields that do not.
        """
        return _validate(cls, value)

    @classmethod
    def from_json(cls, data: str | bytes) -> Self:
        """The document in `data`.

        Raises:
            FormatError: not I-JSON, a later MAJOR version, or not a document of this kind.
        """
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        return cls.from_dict(parse_json(raw))


DocumentType = TypeVar("DocumentType", bound=Document)


def _validate(model: type[DocumentType], value: JsonValue) -> DocumentType:
    if not isinstance(value, dict):
        raise InvalidDocument(f"expected a JSON object of kind {model.KIND!r}, found {type(value).__name__}")
    check_version(value)
    missing = [name for name in ("kind", "schema_version") if name not in value]
    if missing:
        raise InvalidDocument(f"expected a {model.KIND!r} document, found no {' and no '.join(missing)}")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidDocument(f"not a valid {model.KIND!r} document: {explain(error)}") from None


def check_version(value: dict[str, JsonValue]) -> None:
    """Do nothing, if the document's MAJOR version is one we read.

    Raises:
        NewerFormat: it is later.
    """
    if is_newer(value):
        found = str(value["schema_version"])[:18]
        raise NewerFormat(
            f"schema version {found} is later than {SCHEMA_MAJOR}.x, which this program reads; "
            "update StableNew to open it"
        )


def is_newer(value: dict[str, JsonValue]) -> bool:
    """Whether the document's MAJOR version is later than the one we read."""
    version = value.get("schema_version")
    major, _, minor = version.partition(".") if isinstance(version, str) else ("", "", "")
    return major.isascii() and major.isdigit() and bool(minor) and len(major) < 9 and int(major) > SCHEMA_MAJOR


def explain(error: ValidationError, limit: int = 3) -> str:
    """What pydantic found, in one line a person can act on."""
    reasons = []
    for item in error.errors(include_url=False, include_context=False)[:limit]:
        place = ".".join(str(part) for part in item["loc"]) or "document"
        found = repr(item.get("input"))
        found = "" if item["type"] == "missing" else f" (found {found[:60]}{'…' if len(found) > 60 else ''})"
        reasons.append(f"{place}: {_REASONS.get(item['type'], item['msg'])}{found}")
    more = error.error_count() - len(reasons)
    return "; ".join(reasons) + (f"; and {more} more" if more > 0 else "")
