"""Settings of any tool under the standard names, as numbers where they are numbers. Pure."""

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from stablenew.formats.common_names import common_sampler, common_scheduler, find_sampler
from stablenew.formats.settings import BY_NAME, SAMPLER, SCHEDULE, SETTINGS
from stablenew.image_metadata.metadata import Scalar

_WHOLE: Final = {setting.name for setting in SETTINGS if setting.type in {"integer", "seed"}} | {
    "batch_size",
    "subseed",
}
_REAL: Final = {setting.name for setting in SETTINGS if setting.type == "number"} | {
    "distilled_cfg_scale",
    "subseed_strength",
}
_BESIDE: Final = {
    "size": "size",
    "resolution": "size",
    "distilled_cfg_scale": "distilled_cfg_scale",
    "variation_seed": "subseed",
    "variation_seed_strength": "subseed_strength",
    "batch_size": "batch_size",
}
"""What several tools write that is not a setting of the table."""
_NOT_A_LETTER: Final = re.compile(r"[\W_]+")
_SIZE: Final = re.compile(r"\(?\s{0,4}(\d{1,6})\s{0,4}[x\u00d7,]\s{0,4}(\d{1,6})")
_NUMBER: Final = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
_SCHEDULES: Final = (
    "Karras", "Exponential", "Polyexponential", "SGM Uniform", "Uniform", "Simple", "Normal", "Beta", "Turbo",
)  # fmt: skip
_BAKED: Final = ("baked", ".use_ckpt")
"""How nodes of ComfyUI call the VAE that is part of the checkpoint."""
_OLD_SAMPLER: Final = "sample_"
"""Before the names of samplers in the first versions of ComfyUI."""
_MAX_SETTINGS: Final = 1_000
_LONGEST_NAME: Final = 200
_LONGEST_WORD: Final = 100
_LONGEST_NUMBER: Final = 40


def _spell(name: str) -> str:
    """`CFG Scale`, `cfgScale` and `cfg_scale` are one name."""
    return _NOT_A_LETTER.sub("", name.casefold())


_BY_SPELLING: Final = {_spell(name): standard for name, standard in _BESIDE.items()} | {
    _spell(name): setting.name
    for setting in SETTINGS
    for name in (setting.name, setting.title, *setting.aliases, *setting.written_as)
}


@lru_cache(maxsize=1024)
def find_standard_name(name: str) -> str | None:
    """The standard name of what most tools mean by `name`, however they spell it; None where it is not one."""
    return _BY_SPELLING.get(_spell(name[:_LONGEST_NAME]))


def build_settings(pairs: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, Scalar]:
    """`pairs` under standard names where they have one, the rest under its own; what is not a scalar is left out.

    `names` says what a tool calls otherwise than most, or means otherwise by a name; a name that maps to nothing is
    left out. The size may stand as one text. A second value for a setting stays under its own name.
    """
    own_names = names or {}
    standard: dict[str, Scalar] = {}
    own: dict[str, Scalar] = {}
    for name, value in list(pairs.items())[:_MAX_SETTINGS]:
        ours = own_names[name] if name in own_names else find_standard_name(name)
        if ours == "":
            continue
        if ours == "size":
            standard |= read_size(value)
        elif ours and ours not in standard and (converted := convert(ours, value)) is not None:
            standard[ours] = converted
        elif (scalar := as_scalar(value)) is not None:
            own[str(name)[:_LONGEST_NAME]] = scalar
    return sort_settings(
        split_schedule(standard) | {name: value for name, value in own.items() if name not in standard}
    )


def convert(name: str, value: Any) -> Scalar | None:
    """A value in the type of its setting; None where it does not fit."""
    if value is None or isinstance(value, (dict, list)):
        return None
    if name in _WHOLE or name in _REAL:
        number = _convert_number(value, is_whole=name in _WHOLE)
        return None if name == "seed" and number is not None and number < 0 else number  # -1 asks for any
    text = str(value).strip()
    if name in {SAMPLER, SCHEDULE} and (len(text) > _LONGEST_WORD or "\n" in text):
        return None
    if name == SAMPLER:
        text = _sampler(text.removeprefix(_OLD_SAMPLER))
    elif name == SCHEDULE:
        text = common_scheduler(text.casefold()) if text.islower() else text
    elif name == "vae" and text.casefold().startswith(_BAKED):
        return None
    return text or None


@lru_cache(maxsize=256)
def _sampler(name: str) -> str:
    return common_sampler(name)


def _convert_number(value: Any, *, is_whole: bool) -> int | float | None:
    if isinstance(value, bool):
        return None
    try:
        return _as_whole(value) if is_whole else _finite(float(value))
    except (ValueError, OverflowError, TypeError):
        return None


def _as_whole(value: Any) -> int | None:
    if isinstance(value, int):
        return value
    text = str(value).strip()
    if len(text) > _LONGEST_NUMBER:
        return None
    if text.removeprefix("-").isdecimal():
        return int(text)  # not by way of a float, which has no room for a seed
    number = float(text)
    return int(number) if number.is_integer() else None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def as_scalar(value: Any) -> Scalar | None:
    """A text, number or truth value; None for anything else and for what is not finite."""
    if isinstance(value, float):
        return _finite(value)
    return value if isinstance(value, (str, int, bool)) else None


def as_number(text: str) -> Scalar:
    """The number that a text writes, if it writes it just so; else the text."""
    if not _NUMBER.fullmatch(text):
        return text
    number: int | float = float(text) if "." in text else int(text)
    return number if str(number) == text else text


def read_size(value: Any) -> dict[str, Scalar]:
    """Width and height out of `512x768`, `(512, 768)`, `512 x 768` or a list of two."""
    if isinstance(value, (list, tuple)) and len(value) == 2:
        value = f"{value[0]}x{value[1]}"
    match = _SIZE.match(str(value)[:100])
    return {"width": int(match[1]), "height": int(match[2])} if match else {}


def split_schedule(settings: dict[str, Scalar]) -> dict[str, Scalar]:
    """Settings in which a schedule that stands in the sampler's name has a name of its own: `DPM++ 2M Karras`."""
    sampler = settings.get(SAMPLER)
    if SCHEDULE in settings or not isinstance(sampler, str):
        return settings
    bare, schedule = _split_sampler(sampler)
    return settings | {SAMPLER: bare, SCHEDULE: schedule} if schedule else settings


@lru_cache(maxsize=256)
def _split_sampler(sampler: str) -> tuple[str, str | None]:
    for schedule in _SCHEDULES:
        for end in (f" {schedule}", f"_{schedule.lower().replace(' ', '_')}"):
            bare = sampler.removesuffix(end)
            if bare not in {"", sampler} and (find_sampler(bare) or end[0] == " "):
                return common_sampler(bare), schedule
    return sampler, None


def sort_settings(settings: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The standard names first, in the order in which people read them."""
    return {name: settings[name] for name in BY_NAME if name in settings} | dict(settings)


def first_text(values: Iterable[Any]) -> str | None:
    """The first of some values that is a text."""
    return next((value for value in values if isinstance(value, str)), None)
