"""Documents changed in nasty ways: what the two readers of a format must agree on."""

import copy
import json
import sys
from pathlib import Path
from random import Random

NASTY = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    4.5,
    5,
    6,
    1e2,
    2**53 - 1,
    -(2**53) + 1,
    1e300,
    -1e300,
    2**63,
    10**30,
    0.1,
    "",
    " ",
    "a",
    "A",
    "0",
    "1.0",
    "1.10",
    "1.0\n",
    "2.0",
    "1.٣",
    "completed",
    "completed\n",
    "Completed",
    "con",
    "nul",
    "a/b",
    "..",
    "outputs/..",
    "outputs/a.png",
    "outputs/a/b.png",
    "outputs/a.png\n",
    "outputs/.a",
    "/etc/passwd",
    "image/png",
    "image/png\n",
    "IMAGE/PNG",
    "xxh128:" + "0" * 32,
    "xxh128:" + "0" * 31,
    "xxh128:" + "G" * 32,
    "xxh128:" + "0" * 32 + "\n",
    "xxh128:" + "٣" * 32,
    "2026-11-21T07:10:09.123Z",
    "2026-02-29T07:10:09.123Z",
    "2024-02-29T07:10:09.123Z",
    "2026-11-21T07:10:09Z",
    "2026-11-21T24:10:09.123Z",
    "2026-11-21T07:10:09.123Z\n",
    "2026-11-21T07:10:09.123z",
    "0026-11-21T07:10:09.123Z",
    "2026-11-21T08:00:00.000Z-0000",
    "2026-11-21T08:00:00.000Z-000g",
    "18446744073709551615",
    "9007199254740993",
    "0123456789012345678",
    "99999999999999999999999",
    "rate",
    "tag",
    "note",
    "flag",
    "prefer",
    "retract",
    "sparkle",
    "😀",
    "é",
    "\u2028",
    "x" * 65,
    "x" * 257,
    [],
    {},
    [1],
    [None],
    ["a"],
    {"a": 1},
    [[]],
    {"name": "a"},
    {"org.example": 1},
    "stablenew.feedback",
    "stablenew.store",
]


def mutated(value, rng: Random):
    """`value` with 0 to 3 edits: a value put in, a key removed, added or copied, a text bent."""
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        places = list(_places(value))
        container, key = rng.choice(places) if places else (None, None)
        if container is None:
            return _nasty(rng)
        _edit(container, key, rng)
    return value


def _nasty(rng):
    return copy.deepcopy(rng.choice(NASTY))


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


def _edit(container, key, rng):
    action = rng.randrange(6)
    if action <= 1:
        container[key] = _nasty(rng)
    elif action == 2:
        del container[key]
    elif action == 3 and isinstance(container, dict):
        container[rng.choice(["x_new", "é", "ext", "rating", "text", "$schema", "error", "seed", "op", "aspect"])] = (
            _nasty(rng)
        )
    elif action == 4 and isinstance(container[key], str):
        text = container[key]
        position = rng.randrange(len(text) + 1)
        container[key] = (
            text[:position] + rng.choice(["", "\n", "0", "Z", "٣", "-", "a", "A"]) + text[position + rng.randrange(2) :]
        )
    elif action == 5 and isinstance(container[key], (int, float)) and not isinstance(container[key], bool):
        container[key] = rng.choice([float(container[key]), -container[key], container[key] + 0.5, container[key] * 2])
    else:
        container[key] = _nasty(rng)


def main(examples: Path, kind: str, count: int) -> None:
    """Print `count` mutated documents of one kind, a line each, with our verdict: for a judge in another language."""
    from stablenew.errors import FormatError
    from stablenew.formats.strict_json import parse_json
    from tests.formats.test_schemas import our_verdict

    rng = Random(f"ajv {kind}")
    seeds = [path.read_bytes() for path in sorted(examples.glob(f"{kind}.*.json"))]
    for _ in range(count):
        try:
            value = parse_json(json.dumps(mutated(json.loads(rng.choice(seeds)), rng)).encode())
        except FormatError:
            continue
        sys.stdout.write(json.dumps({"ok": our_verdict(kind, value), "value": value}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
