"""Several queries of each fragment: an attack fitted for the fragment itself and for each altered copy, scores averaged.

LiRA with several queries is the published one (Carlini et al. 2022, section on multiple queries: the mean over crops).
RMIA is tuned for each query by itself: answers to altered copies are less saturated, and ask for another temperature.
"""

from dataclasses import replace

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.lira import LiRA, OfflineLiRA
from mia_lib.attacks.rmia import RMIA, OfflineRMIA
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

BUDGET = 5  # the fragment and its first four altered copies, which hardly change what a model hears


def check_budget(signals: Signals, budget: int) -> None:
    """Raise MiaError unless the signals hold the answers to `budget` queries of each fragment, the clean one included."""
    if budget < 1:
        raise MiaError(f"an attack needs at least one query of each fragment, not {budget}")
    if budget > 1 and signals.copies is None:
        raise MiaError(
            "this attack asks about altered copies of each fragment: the signals must hold the answers (copies)"
        )
    held = 1 if signals.copies is None else 1 + len(signals.copies)
    if budget > held:
        raise MiaError(f"the signals hold answers to {held} queries of each fragment, not to {budget}")


def query(signals: Signals, number: int) -> Signals:
    """The signals of one query: 0 is the fragment itself, q > 0 its q-th altered copy."""
    if number == 0:
        return signals
    assert signals.copies is not None  # by `check_budget`
    return replace(signals, logits=signals.copies[number - 1], copies=None)


class Queries:
    """Base of attacks that apply another one, `single`, to each query of a fragment."""

    calibrated = True
    needs = ("copies",)
    single: type

    def __init__(self, seed: int = 0, budget: int = BUDGET, **options):
        """budget: queries of each fragment, the clean one included. options: of the attack applied to each."""
        self.seed, self.budget, self.options = seed, budget, options

    def fit(self, references: Signals) -> "Queries":
        check_budget(references, self.budget)
        queries = [query(references, q) for q in range(self.budget)]
        self.fitted = [self.single(seed=self.seed, **self.options).fit(each) for each in queries]
        return self

    def score(self, target: Signals) -> np.ndarray:
        check_budget(target, self.budget)
        return self.combined(np.stack([attack.score(query(target, q)) for q, attack in enumerate(self.fitted)]))

    def combined(self, scores: np.ndarray) -> np.ndarray:
        """One score for each model and fragment from those of all queries, [budget, K, N]."""
        return scores.mean(0)


@ATTACKS.register("lira_online_queries")
class LiRAQueries(Queries):
    """LiRA asking several times: the mean likelihood ratio over a fragment and its mildly altered copies."""

    single = LiRA


@ATTACKS.register("lira_offline_queries")
class OfflineLiRAQueries(Queries):
    """Offline LiRA asking several times: the mean over a fragment and its mildly altered copies."""

    single = OfflineLiRA


@ATTACKS.register("rmia_online_queries")
class RMIAQueries(Queries):
    """RMIA asking several times: the mean share dominated by a fragment and by its mildly altered copies."""

    single = RMIA


@ATTACKS.register("rmia_offline_queries")
class OfflineRMIAQueries(Queries):
    """Offline RMIA asking several times: the mean over a fragment and its mildly altered copies."""

    single = OfflineRMIA
