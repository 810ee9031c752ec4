"""The query language: one for the command line, Python, the web page and datasets.

    model:dreamshaper* sampler:"Euler a" cfg:5..8 rating:>=4 since:7d "oil painting" -blurry

A query is a list of conditions, and it selects images: all conditions must hold for one and the same image. What is
said of its variant or job (prompt, settings, pack, status, time) holds for the image; a job is selected when one of its
images is. `-` before a condition negates it.

    oil            a word of the prompt; `harb*` a prefix of 3 letters or more; "oil painting" a phrase
    field:value    `field:a,b` is either; `*` and `?` stand for other characters; case does not matter
    field:5..8     both ends count; 5.. and ..8; >5 >=5 <5 <=5
    rating:5       the mean of all raters, rounded: 4.5 or more; rating:>=4 compares the mean as it is
    mine:4         one's own rating; jobrating: is that of the job itself
    unrated:yes    yes, no, or mine: not rated by oneself
    since:7d       from then on; also h, w, m (months), y, a date, a date with time; before: up to then
    model:aurora   a model file under any of its names: aurora.safetensors, SDXL/aurora.ckpt; so vae, lora, embedding
    source:webui   the program that recorded it, or the tool that made it
    is:trashed     in the trash
    label:red      a colour, which is the tag `label:red`
    album:Best     an album, which is the tag `album:Best`
    settings.NAME:value, metric.NAME:>6, aspect.NAME:>=4
                   any setting, score or aspect by its name; NAME alone where it means only one of them

A condition on a value that is not known (such as the rating of an unrated image) does not hold; negated, it does.
"""

from stablenew.formats.query_language.conditions import Condition, Query, Range, Switch, Value, Words
from stablenew.formats.query_language.fields import (
    FAMILIES,
    FIELDS,
    FILE_FIELDS,
    FLAGS,
    IMAGE_NUMBERS,
    IMAGE_WORDS,
    NUMBERS,
    RUN_NUMBERS,
    RUN_WORDS,
    SWITCHES,
    TEXTS,
    TIMES,
    USE_WORDS,
    VARIANT_NUMBERS,
    VARIANT_WORDS,
    WORDS,
    field_of_setting,
    suggest_names,
)
from stablenew.formats.query_language.parser import (
    MAX_CONDITIONS,
    MAX_DIGITS,
    MAX_LENGTH,
    MAX_PATTERNS,
    MAX_VALUES,
    MIN_PREFIX,
    parse_query,
)
from stablenew.formats.query_language.patterns import Glob, Pattern, match_any

__all__ = [
    "FAMILIES",
    "FIELDS",
    "FILE_FIELDS",
    "FLAGS",
    "IMAGE_NUMBERS",
    "IMAGE_WORDS",
    "MAX_CONDITIONS",
    "MAX_DIGITS",
    "MAX_LENGTH",
    "MAX_PATTERNS",
    "MAX_VALUES",
    "MIN_PREFIX",
    "NUMBERS",
    "RUN_NUMBERS",
    "RUN_WORDS",
    "SWITCHES",
    "TEXTS",
    "TIMES",
    "USE_WORDS",
    "VARIANT_NUMBERS",
    "VARIANT_WORDS",
    "WORDS",
    "Condition",
    "Glob",
    "Pattern",
    "Query",
    "Range",
    "Switch",
    "Value",
    "Words",
    "field_of_setting",
    "match_any",
    "parse_query",
    "suggest_names",
]
