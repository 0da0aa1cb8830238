"""One attack on one target: its scores, who is a member, and the negative control that shuffles membership."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mia_lib.attacks.threshold import best_threshold
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError


def check_scores(scores: np.ndarray, member: np.ndarray) -> None:
    """Raise MiaError unless `scores` and `member` are equally long, finite, and hold both kinds."""
    if scores.shape != member.shape or scores.ndim != 1:
        raise MiaError(f"scores {scores.shape} and membership {member.shape} must be two lists of the same length")
    if np.isnan(scores).any():
        raise MiaError("the scores hold values that are not numbers")
    if member.all() or not member.any():
        raise MiaError("the audit set needs both members and non-members")


@dataclass(frozen=True)
class Audit:
    """Scores of one target on its audit set. `threshold` was learnt elsewhere; intervals draw `clusters` as a whole.

    spread: the variance of the weights of clusters from which intervals are drawn (see `intervals.spread_of_weights`).
    """

    scores: np.ndarray  # float [n]
    member: np.ndarray  # bool [n]
    clusters: np.ndarray  # str [n]
    threshold: float
    rows: np.ndarray  # int [n], which fragments
    spread: float = 1.0

    def __post_init__(self):
        check_scores(self.scores, self.member)

    @cached_property
    def best_threshold(self) -> float:
        """The threshold of the best balanced accuracy on this very target: nobody has it who does not know the answers."""
        return best_threshold(self.scores, self.member)

    def shuffled(self, seed: int) -> "Audit":
        """Negative control: the same scores, with half of the true members' clusters and half of the others' as "members"."""
        rng, dealt = generator(seed, "shuffled membership"), np.zeros(len(self.member), dtype=bool)
        for side, half in ((self.member, np.ceil), (~self.member, np.floor)):
            names, code = np.unique(self.clusters[side], return_inverse=True)
            dealt[side] = (rng.permutation(len(names)) < half(len(names) / 2))[code]
        return replace(self, member=dealt)

    def smaller_side(self) -> int:
        """Number of different clusters among the members or among the others, whichever is smaller."""
        return min(len(set(self.clusters[side])) for side in (self.member, ~self.member))

    def restricted_to(self, mask: np.ndarray) -> "Audit":
        """The part of the audit on fragments with a condition; `mask` is bool over all fragments of the corpus."""
        kept = mask[self.rows]
        parts = {name: getattr(self, name)[kept] for name in ("scores", "member", "clusters", "rows")}
        return replace(self, **parts)


def shuffled(audits: list[Audit], seed: int) -> list[Audit]:
    """The negative control of each audit whose membership is dealt anew, with a seed of its own."""
    return [audit.shuffled(seed * 1000 + i) for i, audit in enumerate(audits)]
