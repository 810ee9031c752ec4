"""How the images of a dataset are to be split. Quick to import; `dataset_split` does it."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, Final, Self

from stablenew.errors import ConfigError

PROMPT: Final = "prompt"
SEED: Final = "seed"
LINEAGE: Final = "lineage"
TIES: Final = (PROMPT, SEED, LINEAGE)


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Shares of the splits, and what keeps images together."""

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    by: tuple[str, ...] = TIES
    salt: str = ""
    """Another salt, another split."""

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if any(not 0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
            raise ConfigError(f"the shares of a split lie between 0 and 1 and come to 1, found {shares}")
        unknown = [tie for tie in self.by if tie not in TIES]
        if unknown or PROMPT not in self.by:
            raise ConfigError(f"a split is by prompt, and may be by seed and lineage, found {', '.join(self.by)}")

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON has it, in the form of `SplitShares`."""
        return asdict(self) | {"by": list(self.by)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The plan that `to_dict` gave; fields of later versions are passed over."""
        known = {field.name: fields[field.name] for field in dataclass_fields(cls)}
        return cls(**{**known, "by": tuple(known["by"])})

    def split_of(self, family: str) -> int:
        """Where a prompt family belongs: its place in `SPLITS`."""
        digest = hashlib.sha256(f"{self.salt}\n{family}".encode()).digest()
        share = int.from_bytes(digest[:8]) / 2**64
        return 0 if share < self.train else 1 if share < self.train + self.validation else 2
