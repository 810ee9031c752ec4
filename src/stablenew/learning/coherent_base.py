"""Images of one kind: what a batch keeps as it is, because it was only ever seen together.

In a store of many tools a sampler, a VAE or a size of one model means nothing to another. So what says which kind of
image is made stays as in images that exist, unless somebody asks to vary it: the engine and the model that most rated
images have; among these the size, the VAE, the LoRAs and other files that most have; and so on. Each choice is made
among the images that are left, so the whole combination exists.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from stablenew.learning.dataset.columns import MAIN_SETTINGS, whole
from stablenew.learning.evidence.evidence_table import EvidenceTable, ImagesForEvidence
from stablenew.learning.evidence.matched_pairs import Codes
from stablenew.learning.evidence.rating_order import flatten_lists
from stablenew.learning.evidence.setting_factors import (
    OF_SIZE,
    SETTINGS,
    encode_column,
    hash_codes,
    is_number,
    is_of_kind,
)
from stablenew.learning.tuned_ranges import SettingRange

Flags = npt.NDArray[np.bool_]

_MODEL: Final = "txt2img.model"
_FIRST: Final = (
    (_MODEL,),
    ("txt2img.refiner_checkpoint",),
    ("txt2img.vae",),
    ("txt2img.width", "txt2img.height"),
)
"""What is chosen first, together where it is one thing; after the engine, before everything else."""
_OWN_KINDS: Final = re.compile(
    r"control|adapter|lora|lyco|hypernet|hires|refine|upscal|model|vae|unet|checkpoint|init image|operation|pipeline"
    r"|generation_mode",
    re.IGNORECASE,
)
"""Names of settings outside the table that say which kind of image it is."""
_FILE: Final = re.compile(r"\.(safetensors|sft|ckpt|pth?|bin|gguf|onnx|npz)\b", re.IGNORECASE)
_SETTINGS_OF: Final = {
    stage: [name for name, column in SETTINGS.items() if name.startswith(f"{stage}.") and column not in MAIN_SETTINGS]
    for stage in ("img2img", "adetailer", "upscale")
}
"""Settings that are known only of images that went through the stage."""
_SHOWN: Final = {_MODEL: "model", "txt2img.vae": "VAE", "txt2img.refiner_checkpoint": "refiner"}


@dataclass(frozen=True)
class CoherentBase:
    """The images whose kind is kept, and what they have in common."""

    judged: Flags
    """For each rated or compared image whether it is one of these."""
    others: Flags
    """For each of the other images whether it is one of these."""
    engine: str | None
    settings: Mapping[str, Any]
    """What is kept because it says which kind of image is made, by dotted name; without what is not known."""
    loras: tuple[str, ...]
    image_count: int
    """Rated or compared images that are of this kind; of all where nobody rated any."""
    total_count: int
    """Images that these were chosen from."""
    is_rated: bool
    other_model: str | None = None
    """The model of most images that were left out, where that is another."""

    def may_vary(self, name: str, used: Mapping[str, Any]) -> bool:
        """Whether a setting, given its dotted name, may be varied without being asked for; `used` are those in use."""
        return name in SETTINGS and not is_of_kind(name) and self.is_stage_used(name, used)

    def is_stage_used(self, name: str, used: Mapping[str, Any]) -> bool:
        """Whether the images went through the stage of a setting, given its dotted name."""
        stage = name.partition(".")[0]
        return stage == "txt2img" or any(used.get(of_stage) is not None for of_stage in _SETTINGS_OF.get(stage, ()))

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "engine": self.engine,
            "settings": dict(self.settings),
            "loras": list(self.loras),
            "image_count": self.image_count,
            "total_count": self.total_count,
            "text": self.text,
        }

    @property
    def text(self) -> str:
        """One sentence: what is kept and how to choose something else. Empty where all images are of one kind."""
        if self.image_count == self.total_count:
            return ""
        named = [f"{word} {self.settings[name]}" for name, word in _SHOWN.items() if name in self.settings]
        size = [self.settings.get(f"txt2img.{side}") for side in ("width", "height")]
        sizes = [f"{size[0]}x{size[1]}"] if all(size) else []
        loras = [f"LoRA {name}" for name in self.loras]
        kind = ", ".join([*filter(None, [self.engine]), *named, *sizes, *loras])
        which = "rated images" if self.is_rated else "images"
        return (
            f"one kind of image, that of {self.image_count} of {self.total_count} {which}: {kind or 'not known'}; "
            f"for another kind give a query{self._example} or name the setting to vary"
        )

    @property
    def _example(self) -> str:
        if not self.other_model:
            return ""
        is_plain = re.fullmatch(r"[\w.-]+", self.other_model)
        name = self.other_model if is_plain else f'"{self.other_model}"'
        return f", such as model:{name},"


def find_base(
    images: ImagesForEvidence, judged: EvidenceTable, others: EvidenceTable, asked: Sequence[SettingRange] = ()
) -> CoherentBase:
    """The kind of image that most rated images are of; of all images, where none is rated.

    `judged` and `others` are the tables of `images`. What is `asked` for is varied, so it is not part of the kind.
    """
    return _Search(images, judged, others, asked).find()


class _Search:
    """Chooses one value after the other among the images that are left; judged images come first in all arrays."""

    def __init__(
        self, images: ImagesForEvidence, judged: EvidenceTable, others: EvidenceTable, asked: Sequence[SettingRange]
    ) -> None:
        self._images, self._tables = (images.judged, images.others), (judged, others)
        self._count = len(images.judged)
        self._asked = {found.name: found for found in asked}
        self._left = np.ones(self._count + len(images.others), bool)

    def find(self) -> CoherentBase:
        """The images of the kind that is most frequent."""
        for found in self._asked.values():
            if not found.is_interval:
                self._keep_values(found)
        for codes in self._kinds():
            self._choose(codes)
        return self._describe()

    def _kinds(self) -> Iterator[Sequence[Codes]]:
        """What images are told apart by, the most important first."""
        yield [self._codes("engine")]
        for names in _FIRST:
            yield [self._codes(name) for name in names if name not in self._asked]
        yield [self._lora_codes()]
        if not any(name.partition(".")[2] in OF_SIZE for name in self._asked):
            yield [self._codes("image_width"), self._codes("image_height")]
        own = {name for table in self._tables for name in table.factors.keys() - SETTINGS.keys()}
        for name in [*filter(is_of_kind, SETTINGS), *sorted(filter(self._is_own_kind, own))]:
            yield [self._codes(name)] if name not in self._asked else []
        for name in SETTINGS:
            yield [(self._codes(name) > 0).astype(np.int64)] if name not in self._asked else []

    def _is_own_kind(self, name: str) -> bool:
        values = [value for table in self._tables if name in table.factors for value in table.factors[name].values]
        has_files = any(isinstance(value, str) and _FILE.search(value) for value in values)
        return has_files or bool(_OWN_KINDS.search(name))

    def _choose(self, columns: Sequence[Codes]) -> None:
        """Keep the most frequent combination: in judged images, where these are equally frequent in all."""
        rows = np.flatnonzero(self._left)
        if not columns or not len(rows):
            return
        _, codes = np.unique(np.column_stack(columns)[rows], axis=0, return_inverse=True)
        codes = codes.reshape(-1)
        counts = np.bincount(codes)
        of_judged = np.bincount(codes[rows < self._count], minlength=len(counts))
        self._left[rows] = codes == int(np.lexsort((-counts, -of_judged))[0])

    def _keep_values(self, found: SettingRange) -> None:
        """Only images that have one of the values, where there are such."""
        wanted = np.concatenate([np.isin(codes, wanted) for codes, wanted in self._coded_values(found)])
        if wanted.any():
            self._left &= wanted

    def _coded_values(self, found: SettingRange) -> Iterator[tuple[Codes, list[int]]]:
        for table in self._tables:
            values = table.factors[found.name].values
            codes = [code for code, value in enumerate(values) if value in found.values]
            yield table.compared_codes[found.name].astype(np.int64), codes

    def _codes(self, name: str) -> Codes:
        """For each image the number of its value of a setting, or of a column of the dataset; 0 is not known."""
        return self._encode(name)[0]

    def _encode(self, name: str) -> tuple[Codes, list[Any]]:
        """The same, and the value of each number."""
        numbers: dict[Any, int] = {None: 0}
        found: list[Any] = [None]
        parts = []
        for images, table in zip(self._images, self._tables, strict=True):
            values, codes = [None], np.zeros(len(images), np.int64)
            if name in table.factors:
                values, codes = table.factors[name].values, table.compared_codes[name].astype(np.int64)
            elif name in images.column_names:
                values, codes = encode_column(images[name])
            for value in values:
                if numbers.setdefault(_key(value), len(found)) == len(found):
                    found.append(value)
            parts.append(np.array([numbers[_key(value)] for value in values], np.int64)[codes])
        return np.concatenate(parts), found

    def _lora_codes(self) -> Codes:
        """Equal for images with the same LoRAs, whatever their weights and their order."""
        lists = whole(pa.chunked_array([whole(images["loras"]) for images in self._images]))
        parents, entries = flatten_lists(lists)
        sums = np.zeros(len(lists), np.uint64)
        names = pc.struct_field(entries, "name").to_numpy(zero_copy_only=False)
        np.add.at(sums, parents, hash_codes("lora", np.unique(names, return_inverse=True)[1]))
        return np.unique(sums, return_inverse=True)[1].astype(np.int64)

    def _describe(self) -> CoherentBase:
        judged, others = self._left[: self._count], self._left[self._count :]
        counted = judged if self._count else others
        kinds = {name: self._value_of(name) for name in SETTINGS if is_of_kind(name) and name not in self._asked}
        return CoherentBase(
            judged=judged,
            others=others,
            engine=self._value_of("engine"),
            settings={name: value for name, value in kinds.items() if value is not None},
            loras=self._loras(),
            image_count=int(np.count_nonzero(counted)),
            total_count=len(counted),
            is_rated=self._count > 0,
            other_model=self._find_other_model(),
        )

    def _value_of(self, name: str) -> Any:
        """The value that the images which are left have in common."""
        codes, values = self._encode(name)
        return values[codes[self._left][0]] if self._left.any() else None

    def _loras(self) -> tuple[str, ...]:
        """The LoRAs of the first image that is left; the others have the same."""
        row = int(self._left.argmax()) if len(self._left) else 0
        for images in self._images:
            if row < len(images):
                return tuple(sorted({lora["name"] for lora in images["loras"][row].as_py() or ()}))
            row -= len(images)
        return ()

    def _find_other_model(self) -> str | None:
        """The model of most of the other images."""
        codes, values = self._encode(_MODEL)
        counts = np.bincount(codes[~self._left], minlength=len(values))
        counts[[0, *codes[self._left]]] = 0
        return str(values[int(counts.argmax())]) if counts.any() else None


def _key(value: Any) -> Any:
    """7 and 7.0 are one value; True is another."""
    return float(value) if is_number(value) else (type(value).__name__, value) if value is not None else None
