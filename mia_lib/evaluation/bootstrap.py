"""Rates of attacks in draws of the bootstrap: what they could as well have been with other recordings.

Each side of an audit gets what a finite sample lacks. Half an example found and half an example missed among the members,
and the same among the others, as Jeffreys' prior adds: so that all found, or none, is not taken for certain. And above the
highest non-member the share of non-members that would score higher still, which is that of a gap between two of n + 1: a
threshold that no non-member of the audit reaches still has false alarms, about one in n + 1. Without it a true-positive rate
at few false alarms is flattered: the threshold "at 1 %" lies where, on average, a little more than 1 % are above.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import of_variance

CHUNK = 100  # draws at once


@dataclass(frozen=True)
class Ordered:
    """What is the same of an audit in all draws: members and others apart, each by falling score."""

    members: np.ndarray  # scores turned round, ascending, float [n]
    others: np.ndarray
    members_of: np.ndarray  # the cluster of each, int64 [n]
    others_of: np.ndarray
    above: np.ndarray  # how many members score higher than each of the others
    level_with: np.ndarray  # at least as high

    @classmethod
    def of(cls, audit: Audit, names: np.ndarray) -> "Ordered":
        """names: all clusters, sorted."""
        code, sides = np.searchsorted(names, audit.clusters), []
        for side in (audit.member, ~audit.member):
            scores = -audit.scores[side]
            order = np.argsort(scores, kind="stable")
            sides.append((scores[order], code[side][order]))
        (members, members_of), (others, others_of) = sides
        above, level_with = (np.searchsorted(members, others, side) for side in ("left", "right"))
        return cls(members, others, members_of, others_of, above, level_with)


class DrawnAudit:
    """One audit in some draws of the bootstrap: sums of weights, by falling score, stand for both axes of the curve."""

    def __init__(
        self, audit: Audit, ordered: Ordered, weights: np.ndarray, rng: np.random.Generator, share: float = 1.0
    ):
        """weights: float [draws, clusters]. rng: for what is added to each side, once for all targets of which a mean is
        taken: `share` of it here."""
        self.audit, self.ordered, self.draws = audit, ordered, len(weights)
        self.found, self.missed, self.accepted, self.rejected = rng.standard_gamma(share / 2, (4, self.draws))
        self.gap = rng.standard_exponential(self.draws)  # above the highest non-member
        self._weights = weights

    @cached_property
    def other_weights(self) -> np.ndarray:
        """Weights of the others by falling score, [draws, n]."""
        return np.take(self._weights, self.ordered.others_of, axis=1)

    @cached_property
    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Of members and of the others the weight of the first 0, 1, 2 ... of them, [draws, n + 1] each."""
        found = []
        for weights in (np.take(self._weights, self.ordered.members_of, axis=1), self.other_weights):
            sums = np.zeros((self.draws, weights.shape[1] + 1))
            np.cumsum(weights, axis=1, out=sums[:, 1:])
            found.append(sums)
        return found[0], found[1]

    def auc(self) -> np.ndarray:
        """The chance that a member scores above another example, ties counted half, [draws]. Halves are added only where the
        sides lie apart, and no draw could tell: elsewhere they would weigh as much as the few pairs that decide."""
        (tp, fp), o = self.sums, self.ordered
        ties = bool((o.above != o.level_with).any())
        below = tp[:, o.above] + tp[:, o.level_with] if ties else 2 * tp[:, o.above]
        pairs = np.einsum("dj,dj->d", self.other_weights, below) / 2
        if (o.others[0] < o.members[-1] and o.members[0] < o.others[-1]) or ties:
            return pairs / (tp[:, -1] * fp[:, -1])
        pairs += self.found * fp[:, -1]
        pairs += self.accepted * self.found / 2 + self.rejected * (tp[:, -1] + self.found + self.missed / 2)
        all_members, all_others = tp[:, -1] + self.found + self.missed, fp[:, -1] + self.accepted + self.rejected
        return pairs / (all_members * all_others)

    def decisions(self, threshold: float) -> dict[str, np.ndarray]:
        """Balanced accuracy, precision and recall where scores of at least `threshold` are called members, [draws] each."""
        (tp, fp), members, others = self.sums, self.ordered.members, self.ordered.others
        hits, alarms = (
            sums[:, np.searchsorted(scores, -threshold, "right")] + extra
            for scores, sums, extra in ((members, tp, self.found), (others, fp, self.accepted))
        )
        recall = hits / (tp[:, -1] + self.found + self.missed)
        fpr = alarms / (fp[:, -1] + self.accepted + self.rejected)
        odds = fpr * len(others) / len(members)  # how many of each side there are is no luck
        return {"balanced_accuracy": (recall + 1 - fpr) / 2, "precision": recall / (recall + odds), "recall": recall}

    def found_above(self, thresholds: np.ndarray) -> np.ndarray:
        """Share of the members with scores above -thresholds [draws], one for each draw."""
        tp, rows = self.sums[0], np.arange(self.draws)
        place = np.searchsorted(self.ordered.members, thresholds, "left")
        return (tp[rows, place] + self.found) / (tp[:, -1] + self.found + self.missed)


def found_at(audits: Sequence[DrawnAudit], level: float) -> np.ndarray:
    """Share of each audit's members above one threshold that `level` of all their non-members exceed, [draws, audits].

    Between two non-members the threshold lies as far up as the level asks; where several score the same, it lies above
    them all, since nobody can decide between equal scores.
    """
    scores = np.concatenate([audit.ordered.others for audit in audits])
    order = np.argsort(scores, kind="stable")
    scores = scores[order]
    weights = np.concatenate([audit.other_weights for audit in audits], axis=1)[:, order]
    exceeding = np.cumsum(np.column_stack([audits[0].gap, weights]), axis=1)  # of the first, the second ... and all
    wanted = level * exceeding[:, -1]
    count = (exceeding[:, :-1] <= wanted[:, None]).sum(1)  # non-members whose own share of higher ones is small enough
    rows, last = np.arange(len(count)), np.maximum(count - 1, 0)
    here, beyond = exceeding[rows, last], exceeding[rows, np.minimum(count, len(scores))]
    next_one = np.minimum(count, len(scores) - 1)
    alone = np.diff(np.searchsorted(scores, scores, "left"), append=len(scores)) > 0  # the last of its equals
    first = np.searchsorted(scores, scores, "left")
    single = alone & (first == np.arange(len(scores)))
    span = np.where(beyond > here, beyond - here, 1.0)
    share = np.where(count > 0, np.where(single[last], (wanted - here) / span, 0.0), wanted / exceeding[:, 0])
    share = np.clip(share, 0.0, 1.0)[:, None]
    found = [np.stack([audit.found_above(scores[place]) for audit in audits], axis=1) for place in (last, next_one)]
    lower = np.where((count > 0)[:, None], found[0], 0.0)
    return lower + share * (found[1] - lower)


def draw(
    audits: Sequence[Audit], draws: int, rng: np.random.Generator, chunk: int = CHUNK
) -> Iterator[list[DrawnAudit]]:
    """All audits in the same draws, `chunk` at a time: clusters of one name weigh the same in all of them.

    The Bayesian bootstrap, as `intervals.bootstrap_weights`.
    """
    names, share = np.unique(np.concatenate([audit.clusters for audit in audits])), 1 / len(audits)
    ordered = [Ordered.of(audit, names) for audit in audits]
    for start in range(0, draws, chunk):
        once = rng.standard_exponential((min(chunk, draws - start), len(names)))
        weights = {spread: of_variance(once, spread) for spread in {audit.spread for audit in audits}}
        yield [
            DrawnAudit(audit, own, weights[audit.spread], rng, share)
            for audit, own in zip(audits, ordered, strict=True)
        ]
