"""The blind baseline: can members be told from others by the sound alone, without asking the model?

Source: Das et al. 2024 (arXiv 2406.16201). The sound says who speaks, and a speaker of whom many recordings are members would
be taken for a member in each: where both sides share speakers, whole speakers are held out.
"""

from dataclasses import dataclass, replace

import numpy as np

from mia_lib.attacks.logistic import logistic
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.folds import FOLDS, deal, decisions, ranks_within
from mia_lib.auditing.trial import Trial, Tried
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import Measure
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError

BLIND = "blind"
"""What records call the classifier that sees the sound, and never the model."""
WIDER = np.sqrt(2)
"""How much wider intervals of a cross-fitted linear classifier are than those of given scores. Its AUC is a sum over pairs of
recordings of y_i y_j k(x_i, x_j), in which each pair stands twice: once where i was held out, once where j was. Where
membership is random that doubles the variance, and drawing recordings anew does not see it."""
REFITS = 3


@dataclass(frozen=True)
class CrossFitted(Tried):
    """An audit whose scores were fitted on the membership of its other recordings."""

    def rates(self, draws: int, seed: int, control: bool = False) -> dict[str, Measure]:
        """All rates of `evaluate`, with intervals as wide as cross-fitting makes them."""
        return {name: widened(rate) for name, rate in super().rates(draws, seed, control).items()}


def widened(rate: Measure) -> Measure:
    """A rate between 0 and 1 whose interval is WIDER."""
    low, high = (rate.value + WIDER * (end - rate.value) for end in (rate.low, rate.high))
    return replace(rate, low=np.clip(low, 0, 1), high=np.clip(high, 0, 1))


def blind(evidence: Evidence, seed: int) -> Trial | None:
    """The blind baseline with its shuffled control, one score a recording, or a person under the protocol `speaker`; None
    without statistics of the sound, or where one side is too small to be fitted on some and judged on others."""
    if evidence.blind is None:
        return None
    rows = np.flatnonzero(evidence.member >= 0)
    by_person = evidence.protocol == "speaker" and evidence.speakers_known
    unit = (evidence.speaker if by_person else evidence.recording)[rows]
    _, first, code = np.unique(unit, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), evidence.blind.shape[1]))
    np.add.at(sums, code, evidence.blind[rows])
    sound, rows = sums / np.bincount(code)[:, None], rows[first]
    inside = evidence.member[rows] == 1
    owner = (evidence.speaker if evidence.speakers_known else evidence.recording)[rows]

    def tried(inside: np.ndarray, again: int = 0) -> CrossFitted:
        return _tried(sound, inside, _folds(inside, unit[first], owner, seed, again), owner, rows)

    try:
        found = tried(inside)
        mixed = replace(found.audit, clusters=unit[first]).shuffled(seed * 1000).member
        return Trial(BLIND, found, {"shuffled": tried(mixed)}, [tried(inside, k).audit for k in range(1, 1 + REFITS)])
    except MiaError:
        return None


def _folds(inside: np.ndarray, unit: np.ndarray, owner: np.ndarray, seed: int, again: int) -> np.ndarray:
    """The fold of each unit: of whole speakers, whatever side they are on, where these have several units."""
    names, code = np.unique(owner, return_inverse=True)
    if len(names) == len(unit) or len(names) < 2 * FOLDS:
        return deal(inside, unit, owner, seed, again)
    return (generator(seed, "speakers in folds of the blind baseline", again).permutation(len(names)) % FOLDS)[code]


def _tried(sound: np.ndarray, inside: np.ndarray, fold: np.ndarray, owner: np.ndarray, rows: np.ndarray) -> CrossFitted:
    """Units scored by a logistic model of the statistics [n, F] of the other folds."""
    scores = np.empty(len(rows))
    for k in np.unique(fold):
        held = fold == k
        if inside[~held].all() or not inside[~held].any():
            raise MiaError("the blind baseline needs members and non-members among the other folds")
        scores[held] = logistic(C=0.1, max_iter=1000).fit(sound[~held], inside[~held]).decision_function(sound[held])
    scores = ranks_within(scores, fold)
    called = decisions(scores, inside, fold).astype(float)
    return CrossFitted(Audit(scores, inside, owner, np.inf, rows), Audit(called, inside, owner, 0.5, rows))
