"""The fields of the query language, and the names that are suggested for one that there is not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from stablenew.formats.settings import SETTINGS, find_setting

_INDEXED: Final = tuple(setting for setting in SETTINGS if setting.query)
VARIANT_WORDS: Final = tuple(setting.query for setting in _INDEXED if setting.query and setting.type == "text")
USE_WORDS: Final = ("lora", "embedding")
FILE_FIELDS: Final = (*(setting.query for setting in _INDEXED if setting.query and setting.is_file), *USE_WORDS)
"""Fields of names of model files, which are found under each of their spellings."""
RUN_WORDS: Final = ("pack", "status", "engine", "source", "action", "run")
IMAGE_WORDS: Final = ("tag", "label", "album", "flag", "rater", "type", "stage", "orientation", "digest", "is")
VARIANT_NUMBERS: Final = tuple(setting.query for setting in _INDEXED if setting.query and setting.type != "text")
IMAGE_NUMBERS: Final = ("rating", "mine")
RUN_NUMBERS: Final = ("jobrating", "variants", "outputs", "duration")
TIMES: Final = ("since", "before")
SWITCHES: Final = ("unrated", "noted")
TEXTS: Final = ("prompt", "negative", "note")
WORDS: Final = (*VARIANT_WORDS, *USE_WORDS, *RUN_WORDS, *IMAGE_WORDS)
NUMBERS: Final = (*VARIANT_NUMBERS, *IMAGE_NUMBERS, *RUN_NUMBERS)
FIELDS: Final = (*TEXTS, *WORDS, *NUMBERS, *TIMES, *SWITCHES)
FAMILIES: Final = ("settings", "metric", "aspect")
"""Fields that are followed by a dot and a name, which every store has its own of."""
FLAGS: Final = ("pick", "reject")
_MAX_SUGGESTED: Final = 3


def field_of_setting(name: str) -> str | None:
    """The field that finds images by a setting as it ran, such as `cfg` for `cfg_scale`; None when there is none."""
    setting = find_setting(name)
    return setting.query if setting else None


def suggest_names(name: str, candidates: Mapping[str, str]) -> str:
    """A hint about an unknown field or setting: the nearest of `candidates` (typed: shown), or how to list all."""
    import difflib  # noqa: PLC0415

    close = difflib.get_close_matches(name.lower(), candidates, _MAX_SUGGESTED)
    nearest = list(dict.fromkeys(candidates[match] for match in close))
    return _ask_whether(nearest) or "`stablenew images --fields` lists what there is"


def suggest_near(name: str, names: Iterable[str]) -> str:
    """A question whether one of the nearest of `names` was meant; empty where none is near."""
    import difflib  # noqa: PLC0415

    lower = {known.lower(): known for known in names}
    return _ask_whether([lower[match] for match in difflib.get_close_matches(name.lower(), lower, _MAX_SUGGESTED)])


def _ask_whether(nearest: Sequence[str]) -> str:
    if not nearest:
        return ""
    return f"did you mean {' or '.join(filter(None, [', '.join(nearest[:-1]), nearest[-1]]))}?"
