"""Attacks that see the answered speaker and nothing else: does the answer survive when the fragment is altered?

After Choquette-Choo et al. (ICML 2021): a model keeps its answer on altered versions of what it has trained on.
"""

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_references, check_shadows
from mia_lib.attacks.logistic import logistic
from mia_lib.attacks.queries import check_budget
from mia_lib.signals.signals import Signals

PULL = 2.0  # the mean bit of all fragments counts as so many reference models beside a fragment's own


def agreement(signals: Signals, budget: int) -> np.ndarray:
    """Bits float64 [budget, K, N]: is the true speaker answered, to the fragment itself and to its altered copies?

    Where the speaker is none of the classes (label -1), the model's own answer to the fragment itself stands in.
    """
    clean = signals.answered_logits.argmax(-1)
    speaker = np.where(signals.labels >= 0, signals.labels, clean)
    copies = () if signals.copies is None else signals.copies[: budget - 1]
    answers = [clean, *(logits.argmax(-1) for logits in copies)]
    return (np.stack(answers) == speaker).astype(np.float64)


def mean_bits(sums: np.ndarray, counts: np.ndarray, of_all: np.ndarray, share: float) -> np.ndarray:
    """Means sums / counts of each fragment, drawn towards those `of_all` [Q], which stand alone where counts are 0.

    sums: [Q, K, N]; counts: [N], or [K, N]. share: of the fragment's own mean, the same for all fragments: a share that
    follows its own count would say something of who trained on it. Kept within 0.001 and 0.999.
    """
    of_all = of_all[:, None, None]
    own = np.where(counts > 0, sums / np.maximum(counts, 1), of_all)
    return np.clip(share * own + (1 - share) * of_all, 0.001, 0.999)


def compare(bits: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """What a logistic model reads, [K, N, 3 Q]: bits [Q, K, N], bits minus mean bits outside, log p_in(bit) / p_out(bit)."""
    ratio = bits * np.log(inside / outside) + (1 - bits) * np.log((1 - inside) / (1 - outside))
    return np.moveaxis(np.concatenate([bits, bits - outside, ratio]), 0, -1)


@ATTACKS.register("label_only")
class LabelOnly:
    """Which altered copies of a fragment keep its speaker? Answered speakers only, weighed by a logistic model."""

    calibrated = False
    needs = ("copies",)
    reads_names = True

    def __init__(self, seed: int = 0, budget: int | None = None):
        """budget: queries of each fragment, the clean one included; None asks for all altered copies that there are."""
        del seed  # the fit is convex
        self.budget = budget

    def _queries(self, shadows: Signals) -> int:
        """How many queries there will be; raises MiaError unless the signals hold so many."""
        copies = 1 if shadows.copies is None else len(shadows.copies)  # without any, one is asked for, and refused
        queries = 1 + copies if self.budget is None else self.budget
        check_budget(shadows, queries)
        return queries

    def fit(self, shadows: Signals) -> "LabelOnly":
        check_shadows(shadows)
        self.queries = self._queries(shadows)
        mask, member = shadows.audited()
        self._learn(agreement(shadows, self.queries)[:, mask].T, member)
        return self

    def _learn(self, x: np.ndarray, member: np.ndarray) -> None:
        self.weights = logistic().fit(x, member)

    def _describe(self, bits: np.ndarray) -> np.ndarray:
        """What the logistic model reads, [K, N, features], of a target's bits [Q, K, N]."""
        return np.moveaxis(bits, 0, -1)

    def score(self, target: Signals) -> np.ndarray:
        check_budget(target, self.queries)
        x = self._describe(agreement(target, self.queries))
        return self.weights.decision_function(x.reshape(-1, x.shape[-1])).reshape(x.shape[:2])


@ATTACKS.register("label_only_calibrated")
class LabelOnlyCalibrated(LabelOnly):
    """Answered speakers only, compared with those of reference models that did and did not train on the fragment."""

    calibrated = True

    def fit(self, references: Signals) -> "LabelOnlyCalibrated":
        """Each reference model plays the target in turn, compared with all the others."""
        inside, outside = check_references(references)
        self.queries = self._queries(references)
        bits, (audited, member) = agreement(references, self.queries), references.audited()
        self.sides = [self._side(bits, mask, np.any(audited, axis=0)) for mask in (inside, outside)]
        self._learn(self._describe(bits, (inside, outside))[audited], member)
        return self

    @staticmethod
    def _side(bits: np.ndarray, mask: np.ndarray, audited: np.ndarray) -> dict:
        """What is known of the models on one side of each fragment: arguments of `mean_bits`."""
        counts = mask.sum(0)
        usual = counts[audited].mean()
        of_all = bits[:, mask & audited].mean(1)
        return dict(
            sums=(bits * mask).sum(1, keepdims=True), counts=counts, of_all=of_all, share=usual / (usual + PULL)
        )

    def _describe(self, bits: np.ndarray, pretending: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
        """pretending: masks [K, N] of the models inside and outside, each of which is taken out of its own side's sums."""
        means = []
        for i, side in enumerate(self.sides):
            if pretending is not None:
                side = side | dict(sums=side["sums"] - bits * pretending[i], counts=side["counts"] - pretending[i])
            means.append(mean_bits(**side))
        return compare(bits, *means)
