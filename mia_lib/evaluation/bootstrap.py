"""Rates of attacks in draws of the bootstrap: what they could as well have been with other recordings.

Each side of an audit gets what a finite sample lacks. Half an example found and half an example missed among the members,
and the same among the others, as Jeffreys' prior adds: so that all found, or none, is not taken for certain. And above the
highest non-member the share of non-members that would score higher still, which is that of a gap between two of n + 1: a
threshold that no non-member of the audit reaches still has false alarms, about one in n + 1. Without it a true-positive rate
at few false alarms is flattered: the threshold "at 1 %" lies where, on average, a little more than 1 % are above.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import bootstrap_weights

CHUNK = 100  # draws at once


class DrawnAudit:
    """One audit in some draws of the bootstrap. Members and others apart, each by falling score: sums of weights then stand
    for both axes of the curve, and where a non-member's score lies among the members' is the same in all draws."""

    def __init__(self, audit: Audit, weights: np.ndarray, rng: np.random.Generator, share: float = 1.0):
        """weights: float [draws, n], of the audit's examples. rng: for what is added to each side, once for all targets of
        which a mean is taken: `share` of it here."""
        self.audit, self.draws = audit, len(weights)
        self.found, self.missed, self.accepted, self.rejected = rng.standard_gamma(share / 2, (4, self.draws))
        self.gap = rng.standard_exponential(self.draws)  # above the highest non-member
        self._weights = weights

    @staticmethod
    def _falling(scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores turned round, ascending, and the weight of the first 0, 1, 2 ... of them, [draws, n + 1]."""
        order = np.argsort(-scores, kind="stable")
        sums = np.zeros((len(weights), len(order) + 1))
        np.cumsum(weights[:, order], axis=1, out=sums[:, 1:])
        return -scores[order], sums

    def sides(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of members, then of the others: scores and sums of weights as `_falling` gives them."""
        if not hasattr(self, "_sides"):
            a, member = self.audit, self.audit.member
            self._sides = (
                *self._falling(a.scores[member], self._weights[:, member]),
                *self._falling(a.scores[~member], self._weights[:, ~member]),
            )
        return self._sides

    def auc(self) -> np.ndarray:
        """The chance that a member scores above another example, ties counted half, [draws]. Halves are added only where the
        sides lie apart, and no draw could tell: elsewhere they would weigh as much as the few pairs that decide."""
        members, tp, others, fp = self.sides()
        above, level_with = (np.searchsorted(members, others, side) for side in ("left", "right"))
        ties = bool((above != level_with).any())
        below = tp[:, above] + tp[:, level_with] if ties else 2 * tp[:, above]
        if (others[0] < members[-1] and members[0] < others[-1]) or ties:
            return np.einsum("dj,dj->d", np.diff(fp, axis=1), below) / (2 * tp[:, -1] * fp[:, -1])
        pairs = np.einsum("dj,dj->d", np.diff(fp, axis=1), below) / 2 + self.found * fp[:, -1]
        pairs += self.accepted * self.found / 2 + self.rejected * (tp[:, -1] + self.found + self.missed / 2)
        all_members, all_others = tp[:, -1] + self.found + self.missed, fp[:, -1] + self.accepted + self.rejected
        return pairs / (all_members * all_others)

    def decisions(self, threshold: float) -> dict[str, np.ndarray]:
        """Balanced accuracy, precision and recall where scores of at least `threshold` are called members, [draws] each."""
        members, tp, others, fp = self.sides()
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
        members, tp, _, _ = self.sides()
        rows, place = np.arange(self.draws), np.searchsorted(members, thresholds, "left")
        return (tp[rows, place] + self.found) / (tp[:, -1] + self.found + self.missed)


def found_at(audits: Sequence[DrawnAudit], level: float) -> np.ndarray:
    """Share of each audit's members above one threshold that `level` of all their non-members exceed, [draws, audits].

    Between two non-members the threshold lies as far up as the level asks; where several score the same, it lies above
    them all, since nobody can decide between equal scores.
    """
    parts = [audit.sides() for audit in audits]
    scores = np.concatenate([others for _, _, others, _ in parts])
    order = np.argsort(scores, kind="stable")
    scores = scores[order]
    weights = np.concatenate([np.diff(fp, axis=1) for _, _, _, fp in parts], axis=1)[:, order]
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
    """All audits in the same draws, `chunk` at a time: clusters of one name weigh the same in all of them."""
    for start in range(0, draws, chunk):
        count, spreads = min(chunk, draws - start), [audit.spread for audit in audits]
        weights = bootstrap_weights([audit.clusters for audit in audits], count, rng, spreads)
        share = 1 / len(audits)
        yield [DrawnAudit(audit, weight, rng, share) for audit, weight in zip(audits, weights, strict=True)]
