"""What a pack says of an image: all that people look at, or only what leads to no prompt and to nobody."""

import math
from collections.abc import Mapping
from typing import Any, Final

from stablenew.formats.settings import INDEXED

KEPT_SETTINGS: Final = tuple(setting.name for setting in INDEXED)
"""Settings that are shown without prompts. Others, such as LoRAs and those of one's own, may hold words of them."""
_LONGEST_NAME: Final = 80


class Anonymous:
    """Names for raters and jobs that tell nothing: `rater 1`, `job 2`."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._known: dict[str, str] = {}

    def name(self, real: str) -> str:
        """The name that stands for `real`."""
        return self._known.setdefault(real, f"{self._word} {len(self._known) + 1}")


def show_image(row: Mapping[str, Any]) -> dict[str, Any]:
    """An image as `JobHistory.find_images` returns it, as the page of a pack shows it."""
    return {
        "job": row["run_id"],
        "name": row["name"],
        "digest": row["digest"],
        "created_at": row["created_at"],
        "width": row["width"],
        "height": row["height"],
        "prompt": row["prompt"],
        "negative": row["negative"],
        "settings": row["settings"],
        "ratings": row["ratings"],
        "flags": row["flags"],
        "tags": row["tags"],
        "metrics": {name: value for name, value in row["metrics"].items() if math.isfinite(value)},
    }


def show_image_without_prompts(row: Mapping[str, Any], raters: Anonymous, jobs: Anonymous) -> dict[str, Any]:
    """The same without prompts, tags, notes, scores and names.

    Digests of the original are left out too: they would tell whether a prompt that somebody guesses is the right one.
    """
    settings = {name: row["settings"][name] for name in KEPT_SETTINGS if row["settings"].get(name) is not None}
    return {
        "job": jobs.name(row["run_id"]),
        "created_at": row["created_at"],
        "width": row["width"],
        "height": row["height"],
        "settings": {name: without_folders(value) for name, value in settings.items()},
        "ratings": {raters.name(rater): rating for rater, rating in row["ratings"].items()},
        "flags": [flag for flag in row["flags"] if flag in ("pick", "reject")],
    }


def without_folders(value: Any) -> Any:
    """A value without the folders of a path."""
    return value.replace("\\", "/").rpartition("/")[2][:_LONGEST_NAME] if isinstance(value, str) else value


def show_evidence(insights: Mapping[str, Any] | None, *, has_prompts: bool) -> list[dict[str, Any]]:
    """What ratings say about settings, for the page of a pack."""
    found = (insights or {}).get("settings", [])
    kept = [item for item in found if has_prompts or item["setting"].rpartition(".")[2] in KEPT_SETTINGS]
    return [
        {
            "setting": item["setting"].rpartition(".")[2] if not has_prompts else item["setting"],
            "values": [_show_value(value, has_prompts=has_prompts) for value in item["values"]],
        }
        for item in kept
    ]


def _show_value(value: Mapping[str, Any], *, has_prompts: bool) -> dict[str, Any]:
    shown = value["value"] if has_prompts else without_folders(value["value"])
    return {"value": shown, "image_count": value["image_count"], "mean": value["mean"]}
