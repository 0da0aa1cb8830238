"""Folds: what is fitted on some speakers is judged on others.

All recordings of a speaker are in one fold, under every protocol. By recordings alone a classifier would learn how many of
a speaker's recordings are members, and of the one that is held out it would know what is missing: where each speaker has as
many members as others, random answers come out below chance, and where folds are made alike to prevent that, above. Scores of
several fits are not laid together as they are but as ranks within their own fold, which says nothing of how high another
fold's scores are.
"""

import numpy as np
from scipy.stats import rankdata

from mia_lib.attacks.threshold import best_threshold
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError

FOLDS = 5


def deal(member: np.ndarray, unit: np.ndarray, seed: int, again: int = 0) -> np.ndarray:
    """The fold of each example, int [n], from 0; examples of one unit, str [n], share it. member: bool [n]. again: others.

    Units with members, with others and with both are each dealt in turn, so that every fold leaves both sides to be learnt
    from. There are FOLDS, or as many as units allow; raises MiaError where they do not allow two.
    """
    names, code = np.unique(unit, return_inverse=True)
    kind = 2 * (np.bincount(code, member) > 0) + (np.bincount(code, ~member) > 0)
    most = int((kind == 3).sum() + min((kind == 2).sum(), (kind == 1).sum()))
    if most < 2:
        raise MiaError(
            "needs members and non-members of at least two speakers or recordings, to be fitted on some and judged on others"
        )
    luck, count = generator(seed, "folds of an audit", again).random(len(names)), min(FOLDS, most)
    order = np.lexsort((luck, kind))
    fold = np.empty(len(names), dtype=np.int64)
    fold[order] = np.arange(len(names)) % count
    return fold[code]


def deal_speakers(member: np.ndarray, speaker: np.ndarray, unit: np.ndarray, seed: int, again: int = 0) -> np.ndarray:
    """Folds of whole speakers, str [n]; of units (recordings), str [n], where speakers do not allow two folds."""
    try:
        return deal(member, speaker, seed, again)
    except MiaError:
        return deal(member, unit, seed, again)


def ranks_within(scores: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Scores [n] as the share of their own fold that lies below, half of what is as high counted, between 0 and 1."""
    ranks = np.empty(len(scores))
    for k in np.unique(fold):
        own = fold == k
        ranks[own] = (rankdata(scores[own]) - 0.5) / own.sum()
    return ranks


def learnt_share(scores: np.ndarray, shuffled: np.ndarray) -> float:
    """Which share of the order of scores [n] was learnt from who is a member, 0 to 1: what they have not in common with those
    that were learnt from shuffled membership [n], by rank correlation."""
    one, other = rankdata(scores), rankdata(shuffled)
    varied = one.std() * other.std()
    return 1 - float(np.clip(np.cov(one, other, ddof=0)[0, 1] / varied, 0, 1)) if varied else 1.0


def decisions(scores: np.ndarray, member: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Whether each example is called a member, bool [n], by the threshold that is best on the other folds."""
    called = np.empty(len(scores), dtype=bool)
    for k in np.unique(fold):
        own = fold == k
        called[own] = scores[own] >= best_threshold(scores[~own], member[~own])
    return called
