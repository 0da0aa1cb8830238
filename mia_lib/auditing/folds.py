"""Folds: what is fitted on some recordings or persons is judged on others.

Each side is dealt to the folds by itself, and within it each speaker's recordings one after the other: all folds have the
same share of members. Where they had not, a fit would know of a recording that is held out that one member, or one other, is
missing, and random answers would come out below chance. For the same reason scores of several fits are not laid together as
they are but as ranks within their own fold, which says nothing of how high another fold's scores are.
"""

import numpy as np
from scipy.stats import rankdata

from mia_lib.attacks.threshold import best_threshold
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError

FOLDS = 5


def deal(member: np.ndarray, unit: np.ndarray, group: np.ndarray, seed: int, again: int = 0) -> np.ndarray:
    """The fold of each example, int [n], from 0; examples of one unit share it.

    member: bool [n], the same within a unit. unit: str [n], what is kept together. group: str [n], whose units are spread
    evenly. again: deals others. There are FOLDS, or as many as the smaller side has units; raises MiaError for less than two.
    """
    names, first, code = np.unique(unit, return_index=True, return_inverse=True)
    side, owner = member[first], np.unique(group, return_inverse=True)[1][first]
    smaller = min(int(side.sum()), int((~side).sum()))
    if smaller < 2:
        raise MiaError(
            f"needs at least 2 members and 2 non-members to be fitted on some and judged on others, not {smaller}"
        )
    count, rng = min(FOLDS, smaller), generator(seed, "folds of an audit", again)
    fold, luck = np.empty(len(names), dtype=np.int64), rng.random(len(names))
    for value in (True, False):
        own = np.flatnonzero(side == value)
        own = own[np.lexsort((luck[own], rng.permutation(owner.max() + 1)[owner[own]]))]
        fold[own] = np.arange(len(own)) % count
    return fold[code]


def ranks_within(scores: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Scores [n] as the share of their own fold that lies below, half of what is as high counted, between 0 and 1."""
    ranks = np.empty(len(scores))
    for k in np.unique(fold):
        own = fold == k
        ranks[own] = (rankdata(scores[own]) - 0.5) / own.sum()
    return ranks


def decisions(scores: np.ndarray, member: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Whether each example is called a member, bool [n], by the threshold that is best on the other folds."""
    called = np.empty(len(scores), dtype=bool)
    for k in np.unique(fold):
        own = fold == k
        called[own] = scores[own] >= best_threshold(scores[~own], member[~own])
    return called
