"""BoTorch as a proposer: its mixed Gaussian process over the same ratings, with the extra `stablenew[botorch]`.

It shows how others plug in (entry point `stablenew.proposers`), and gives a second opinion on the built-in surface:
`stablenew learn propose --proposer botorch`. Stars are taken as numbers; prompts, seeds and drift are not told apart.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from scipy.special import ndtr
from scipy.stats import qmc

from stablenew.errors import ConfigError
from stablenew.learning.dataset.reader import Dataset
from stablenew.learning.evidence.best_settings import FEWEST_IMAGES, build_observations
from stablenew.learning.evidence.evidence_table import EvidenceTable, read_evidence_table
from stablenew.learning.evidence.rating_statistics import CONFIDENCE, NOT_ENOUGH, Interval
from stablenew.learning.evidence.values_in_use import most_used, values_in_use
from stablenew.learning.learning_contract import (
    TOGETHER,
    BestDefault,
    EvidenceContract,
    Modifier,
    ModifierRange,
    Proposal,
)
from stablenew.learning.surface.observations import Floats, Observations

_SPREAD: Final = 512
"""Settings all over the space that are compared in the search for the best."""


class BoTorchContract:
    """What BoTorch's model proposes; settings, their ranges and what is used are those of the built-in contract.

    Raises:
        ConfigError: BoTorch is not installed.
    """

    def __init__(self, dataset: Dataset | EvidenceTable) -> None:
        try:
            import botorch  # noqa: F401, PLC0415  torch takes seconds
        except ImportError:
            raise ConfigError("the proposer botorch needs `pip install 'stablenew[botorch]'`") from None
        self._table = dataset if isinstance(dataset, EvidenceTable) else read_evidence_table(dataset)
        self._built_in = EvidenceContract(self._table)

    def get_available_modifiers(self) -> list[Modifier]:
        """See `LearningContract`."""
        return self._built_in.get_available_modifiers()

    def get_modifier_ranges(self) -> dict[str, ModifierRange]:
        """See `LearningContract`."""
        return self._built_in.get_modifier_ranges()

    def get_current_best_defaults(self) -> dict[str, BestDefault]:
        """For each setting the value proposed, else the one that is used most."""
        found = self._built_in.get_current_best_defaults()
        used = most_used(self._table)
        for proposal in self.propose_new_defaults():
            value = used[proposal.name] if proposal.proposed is None else proposal.proposed
            known = replace(found[proposal.name], value=value, is_supported=proposal.is_supported)
            found[proposal.name] = replace(known, reason=proposal.reason, mean=None)
        return found

    def propose_new_defaults(
        self, dataset: Dataset | None = None, current: Mapping[str, Any] | None = None
    ) -> list[Proposal]:
        """For each varied setting whether its value at the best settings by expectation is surely better.

        Raises:
            ConfigError: `current` names a setting that does not exist.
        """
        table = self._table if dataset is None else read_evidence_table(dataset)
        used = values_in_use(table, current)
        observed = build_observations(table).latest()
        if len(observed.stars) < FEWEST_IMAGES:
            few = f"{NOT_ENOUGH}: {len(observed.stars)} ratings, {FEWEST_IMAGES} are needed"
            names = [dimension.name for dimension in observed.space.dimensions]
            return [Proposal(name, used[name], None, False, few, None, None, None, 0, ()) for name in names]
        model = _fit(observed)
        best = _find_best(model, observed)
        return [_propose(model, observed, best, index, used) for index in range(len(observed.space.dimensions))]


def _fit(observed: Observations) -> Any:
    """A Gaussian process over settings, given stars without the mean of their rater."""
    import torch  # noqa: PLC0415
    from botorch.fit import fit_gpytorch_mll  # noqa: PLC0415
    from botorch.models import MixedSingleTaskGP, SingleTaskGP  # noqa: PLC0415
    from gpytorch.mlls import ExactMarginalLogLikelihood  # noqa: PLC0415

    counts = np.maximum(1, np.bincount(observed.raters))
    means = np.bincount(observed.raters, observed.stars) / counts
    points = torch.tensor(observed.points[observed.rated], dtype=torch.double)
    stars = torch.tensor(observed.stars - means[observed.raters], dtype=torch.double)[:, None]
    words = [index for index, dimension in enumerate(observed.space.dimensions) if not dimension.is_number]
    model = MixedSingleTaskGP(points, stars, cat_dims=words) if words else SingleTaskGP(points, stars)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def _predict(model: Any, points: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of what settings are worth, in stars."""
    import torch  # noqa: PLC0415

    with torch.no_grad():
        found = model.posterior(torch.tensor(points, dtype=torch.double)).mvn
        return found.mean.numpy(), found.covariance_matrix.numpy()


def _find_best(model: Any, observed: Observations) -> Floats:
    """The settings with the highest expected stars, of those that were rated and many all over the space."""
    candidates = observed.space.candidates(observed.points)
    shares = qmc.Halton(len(candidates), seed=7).random(_SPREAD)
    spread = [
        values[np.minimum((shares[:, index] * len(values)).astype(int), len(values) - 1)]
        for index, values in enumerate(candidates)
    ]
    points = np.unique(np.concatenate([observed.points, np.column_stack(spread)]), axis=0)
    return np.asarray(points[int(_predict(model, points)[0].argmax())])


def _propose(model: Any, observed: Observations, best: Floats, index: int, used: Mapping[str, Any]) -> Proposal:
    dimension = observed.space.dimensions[index]
    current, value, moved = used[dimension.name], dimension.decode(best[index]), best.copy()
    moved[index] = dimension.encode(current)
    mean, covariance = _predict(model, np.stack([best, moved]))
    gain = float(mean[0] - mean[1])
    error = max(float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), 1e-12) ** 0.5
    probability = float(ndtr(gain / error))
    interval = Interval(gain, gain - 1.96 * error, gain + 1.96 * error)
    is_better = probability >= CONFIDENCE and value != current
    reason = (
        f"{value} is expected to be rated {gain:+.2f} stars against {current}"
        if is_better
        else f"no other value is surely better than {current}: the best, {value}, by {gain:+.2f} stars"
    )
    return Proposal(
        dimension.name, current, value if is_better else None, True, reason, interval, probability, TOGETHER,
        len(observed.stars), (),
    )  # fmt: skip
