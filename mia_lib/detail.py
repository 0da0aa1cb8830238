"""Signals in more detail: what costs too much to get for every fragment, for some whole recordings.

An attack says in `needs` what it sees beside the logits. What can be needed is one entry of EXTRAS.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.perturbations import PERTURBATIONS
from mia_lib.quick import summary_vectors
from mia_lib.signals import Signals
from mia_lib.stack import Stack


def _inputs(stack: Stack, rows: np.ndarray) -> np.ndarray:
    """What fragments are like, whatever a model says: mean and deviation of their features over time, float64 [n, D]."""
    return summary_vectors(stack.experiment.features[rows].cpu()).astype(np.float64)


EXTRAS: dict[str, Callable[[Stack, np.ndarray], np.ndarray]] = {
    "copies": lambda stack, rows: stack.copies(rows, len(PERTURBATIONS)),
    "inputs": _inputs,
    "internals": lambda stack, rows: stack.internals(rows),
}
"""Name of a field of Signals -> its values for all models of a stack on the fragments `rows`, int64 [n]."""
CHEAP = {"inputs"}
"""Extras that are had for every fragment."""


def fragment_attacks() -> list[str]:
    """Names of the attacks that score single fragments, as opposed to persons."""
    return [name for name in ATTACKS.names() if "person" not in needs_of(name)]


def needs_of(attack: str) -> tuple[str, ...]:
    """What an attack sees beside the logits, as names of EXTRAS; nothing for most."""
    return tuple(getattr(ATTACKS.get(attack), "needs", ()))


def whole_recordings(sources: np.ndarray, count: int, seed: int) -> np.ndarray:
    """About `count` fragments, int64 [n], ascending: all fragments of sources drawn at random until there are enough.

    sources: str [N], of every fragment, "" for those that must not be drawn. A smaller count draws some of the same.
    """
    names, code = np.unique(sources, return_inverse=True)
    order = np.random.default_rng([seed, 15]).permutation(np.flatnonzero(names != ""))
    sizes = np.bincount(code, minlength=len(names))[order]
    chosen = order[np.cumsum(sizes) - sizes < count]
    return np.flatnonzero(np.isin(code, chosen))


def detailed_signals(stack: Stack, rows: np.ndarray, needs: Sequence[str], member: np.ndarray, **options) -> Signals:
    """Signals of all models of a stack on the fragments `rows` [n], with the extras that `needs` names.

    member: int8 [models, n]. options: other fields of Signals, of the same fragments.
    """
    extras = {name: EXTRAS[name](stack, rows) for name in needs}
    return Signals(stack.logits[:, rows], stack.labels[:, rows], member, **options, **extras)
