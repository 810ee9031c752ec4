"""What ran differently from what was asked for: a server may have only another checkpoint, sampler or size."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stablenew.formats.common_names import find_sampler, same_checkpoint, split_schedule
from stablenew.formats.settings import SAMPLER, SCHEDULE, SETTINGS, Setting
from stablenew.formats.strict_json import JsonValue

_CHOSEN_BY_PROGRAM = {"", "automatic", "auto"}


class Substitution(NamedTuple):
    """One setting that ran with another value."""

    setting: Setting
    asked: JsonValue
    ran: JsonValue


def find_substitutions(requested: Mapping[str, JsonValue], actual: Mapping[str, JsonValue]) -> list[Substitution]:
    """The settings of the table that were asked for and ran with another value.

    Two names of one checkpoint or sampler are no difference, nor is a choice that was left to the program.
    """
    return [
        Substitution(setting, requested[setting.name], actual[setting.name])
        for setting in SETTINGS
        if setting.name in requested and setting.name in actual
        if _differs(setting, requested[setting.name], actual)
    ]


def describe_substitutions(variants: Iterable[tuple[Mapping[str, JsonValue], Mapping[str, JsonValue]]]) -> list[str]:
    """A line for each difference, with the number of variants that had it; `variants` are requested and actual ones."""
    counts: dict[tuple[str, str, str], int] = {}
    for requested, actual in variants:
        for setting, asked, ran in find_substitutions(requested, actual):
            key = (setting.title, str(asked), str(ran))
            counts[key] = counts.get(key, 0) + 1
    return [
        f"{title} {ran} ran instead of {asked}" + (f" ({count} variants)" if count > 1 else "")
        for (title, asked, ran), count in counts.items()
    ]


def _differs(setting: Setting, asked: JsonValue, actual: Mapping[str, JsonValue]) -> bool:
    ran = actual[setting.name]
    if asked is None or ran is None or asked == ran:
        return False
    if setting.type == "seed":
        return asked not in (-1, "-1")
    if str(asked).casefold() in _CHOSEN_BY_PROGRAM:
        return False
    if setting.name in ("model", "vae"):
        return not same_checkpoint(str(asked), str(ran))
    if setting.name == SAMPLER:
        return _sampler_key(str(asked)) != _sampler_key(str(ran)) and not _is_old_name_of(str(asked), actual)
    if setting.type == "text":
        return str(asked).casefold() != str(ran).casefold()
    return True


def _is_old_name_of(asked: str, actual: Mapping[str, JsonValue]) -> bool:
    """Whether the sampler and the noise schedule that ran are those of one name, such as `DPM++ 2M Karras`."""
    sampler, schedule = split_schedule(asked)
    ran = (_sampler_key(str(actual.get(SAMPLER))), str(actual.get(SCHEDULE) or schedule).casefold())
    return schedule is not None and ran == (_sampler_key(sampler), schedule.casefold())


def _sampler_key(name: str) -> str:
    sampler = find_sampler(name)
    return (sampler.name if sampler else name).casefold()
