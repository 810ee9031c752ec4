"""Words of prompts, as they are indexed and searched."""

import re

_UNSPACED = re.compile("([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9d])")


def searchable(text: str) -> str:
    """`text` with every character of scripts that put no spaces between words made a word of its own.

    The tokenizer takes a run of them for one word, which nobody would find again.
    """
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def match_phrase(text: str, *, is_prefix: bool = False) -> str:
    """The FTS5 expression for `text` as a phrase; with `is_prefix` its last word is the beginning of one."""
    quoted = searchable(text).replace('"', '""')
    return f'"{quoted}"{" *" if is_prefix else ""}'
