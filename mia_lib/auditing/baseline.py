"""The blind baseline: can members be told from others by the sound alone, without asking the model?

Source: Das et al. 2024 (arXiv 2406.16201). The sound says who speaks, and a speaker of whom many recordings are members would
be taken for a member in each: where both sides share speakers, whole speakers are held out.
"""

from dataclasses import replace

import numpy as np

from mia_lib.attacks.logistic import logistic
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.folds import deal_speakers, decisions, learnt_share, ranks_within
from mia_lib.auditing.trial import Trial, Tried
from mia_lib.evaluation.audit import Audit
from mia_lib.support.errors import MiaError

BLIND = "blind"
"""What records call the classifier that sees the sound, and never the model."""
REFITS = 3


def blind(evidence: Evidence, seed: int) -> Trial | None:
    """The blind baseline with its shuffled control, one score a recording, or a person under the protocol `speaker`; None
    without statistics of the sound, or where one side is too small to be fitted on some and judged on others."""
    if evidence.blind is None:
        return None
    rows = np.flatnonzero(evidence.member >= 0)
    by_person = evidence.protocol == "speaker" and evidence.speakers_known
    unit = (evidence.speaker if by_person else evidence.unit)[rows]
    _, first, code = np.unique(unit, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), evidence.blind.shape[1]))
    np.add.at(sums, code, evidence.blind[rows])
    sound, rows = sums / np.bincount(code)[:, None], rows[first]
    inside = evidence.member[rows] == 1
    owner = (evidence.speaker if evidence.speakers_known else evidence.recording)[rows]

    def tried(inside: np.ndarray, again: int = 0) -> Tried:
        return _tried(sound, inside, deal_speakers(inside, owner, unit[first], seed, again), owner, rows)

    try:
        found = tried(inside)
        mixed = tried(replace(found.audit, clusters=unit[first]).shuffled(seed * 1000).member)
        learnt = learnt_share(found.audit.scores, mixed.audit.scores)
        again = [tried(inside, k).audit for k in range(1, 1 + REFITS)]
        return Trial(BLIND, found.spread(learnt), {"shuffled": mixed.spread(learnt)}, again)
    except MiaError:
        return None


def _tried(sound: np.ndarray, inside: np.ndarray, fold: np.ndarray, owner: np.ndarray, rows: np.ndarray) -> Tried:
    """Units scored by a logistic model of the statistics [n, F] of the other folds."""
    scores = np.empty(len(rows))
    for k in np.unique(fold):
        held = fold == k
        scores[held] = logistic(C=0.1, max_iter=1000).fit(sound[~held], inside[~held]).decision_function(sound[held])
    scores = ranks_within(scores, fold)
    called = decisions(scores, inside, fold).astype(float)
    of_scores = Audit(scores, inside, owner, np.inf, rows)
    return Tried(of_scores, replace(of_scores, scores=called, threshold=0.5))
