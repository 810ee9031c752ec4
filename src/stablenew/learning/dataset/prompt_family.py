"""Prompt families: prompts that say the same but for what a plan put in, weights, LoRA tags, case and order of words.

Images of one family look alike, so a split must not part them.
"""

import functools
import re
from collections.abc import Iterable

import xxhash

_TAG = re.compile(r"<[^<>]*>")
_WEIGHT = re.compile(r":\s*-?[0-9.]+\s*(?=[)\]])")
_WORD = re.compile(r"[^\W_]+")


@functools.lru_cache(maxsize=1 << 14)
def build_prompt_family(prompt: str, label: str | None = None) -> str:
    """16 hex digits that are equal for prompts of one family.

    `label` is the variant's: what it says was put in (`[time]=dawn; person->woman`) is taken out again.
    """
    text = _TAG.sub(" ", prompt.casefold())
    for value in _values_put_in(label or ""):
        text = re.sub(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", " ", text)
    words = sorted(set(_WORD.findall(_WEIGHT.sub(" ", text))))
    return xxhash.xxh3_64_hexdigest(" ".join(words).encode("utf-8", "replace"))


def _values_put_in(label: str) -> Iterable[str]:
    """The longest first, so that one that is part of another does not tear it."""
    values: set[str] = set()
    for part in label.split("; "):
        name, arrow, value = part.partition("->")
        if not arrow:
            name, _, value = part.partition("=")
            if not name.startswith(("[", "__")):
                continue
        values.update(one for one in (value.strip(), name.strip() if arrow else "") if one)
    return sorted(values, key=len, reverse=True)
