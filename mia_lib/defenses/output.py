"""What output defenses share: altered posteriors as answers that name the same speaker, and draws that can be repeated."""

import numpy as np

from mia_lib.defenses.base import Answers, Defense
from mia_lib.signals.statistics import FLOOR, log_posteriors
from mia_lib.support.draws import generator

COARSE = 8  # logits are told apart in steps of 1/8 when a fragment is recognised: far above what rounding can move


class OutputDefense(Defense):
    """Base of defenses that alter the posteriors of one model at a time, each fragment by itself.

    The answers are float32 log posteriors: -inf for the classes that a model does not have, `FLOOR` for a posterior of
    zero, and one largest value, that of the class which the model itself puts first (of equal ones the lowest index)."""

    alters = True
    keeps_argmax = True

    def answer(self, answers: Answers) -> np.ndarray:
        return np.stack([given_out(self.alter(log_posteriors(z)), z) for z in answers.logits])

    def alter(self, log_p: np.ndarray) -> np.ndarray:
        """Altered log posteriors of one model, float64 [n, classes]; -inf where a class is absent or has posterior 0."""
        raise NotImplementedError


def given_out(log_p: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Log posteriors [..., classes] as float32 answers whose only largest value is where the logits have theirs first.

    `log_p` may tie the winner with others, never put it below them: ties are broken by the smallest step of float32.
    """
    winner = np.argmax(logits, -1)[..., None]
    log_p = np.where(np.isneginf(log_p) & np.isfinite(logits), FLOOR, log_p).astype(np.float32)
    best = np.take_along_axis(log_p, winner, -1)
    below = np.minimum(log_p, np.nextafter(best, np.float32(-np.inf)))
    np.put_along_axis(below, winner, best, -1)
    return below


def ranked(values: np.ndarray) -> np.ndarray:
    """Classes from the largest value to the smallest, int64 [..., classes]; of equal ones the lowest index first."""
    return np.argsort(-values, axis=-1, kind="stable")


def repeatable_draws(logits: np.ndarray, seed: int, purpose: str) -> np.ndarray:
    """Uniform numbers in [0, 1), float64 [n], one per fragment of a model that says `logits` [n, classes].

    A draw follows from the seed and the fragment's own logits, to within `COARSE`: it is the same whenever and with
    whichever others the fragment is asked about, so that asking again teaches nothing.
    """
    gaps = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    steps = np.rint(COARSE * np.where(np.isfinite(gaps), gaps, 0.0)).astype(np.int64).view(np.uint64)
    factors = generator(seed, purpose).integers(2**64, size=logits.shape[-1], dtype=np.uint64)
    mixed = (steps * factors).sum(-1, dtype=np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):  # splitmix64 (Steele et al. 2014)
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)) * 2.0**-53
