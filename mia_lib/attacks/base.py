"""What every attack looks like: fit on the signals of shadow or reference models, then score a target's."""

from typing import Protocol

import numpy as np

from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError
from mia_lib.support.registry import Registry

ATTACKS = Registry("attack", "mia_lib.attacks")


class Attack(Protocol):
    """A membership inference attack: `fit` on shadow signals, then `score` a target.

    `calibrated` attacks compare a fragment with itself in models that did and did not train on it: they need shadows
    with `Signals.aligned`, called reference models. Four attributes are optional. An attack that learns a threshold of its
    own (accept score >= t) leaves it in `threshold`; for the others whoever fits them learns one. `learns = False` says that
    scores do not depend on whose membership `fit` saw. `needs` names what an attack sees beside logits, as fields of Signals
    ("copies"): those that are costly to have are given on `query_fragments` of the fragments only. `reads_names = True`: of
    altered copies it reads the answered speaker only.
    """

    calibrated: bool

    def __init__(self, seed: int = 0): ...

    def fit(self, shadows: Signals, /) -> "Attack":
        """Learn from shadow models, whose membership the attacker knows."""

    def score(self, target: Signals, /) -> np.ndarray:
        """One score per model and fragment, float64 [K, N]; higher means member. Never reads `target.member`."""


def check_shadows(shadows: Signals) -> None:
    """Raise MiaError unless the shadows' audit sets hold members and non-members."""
    _, member = shadows.audited()
    if member.all() or not member.any():
        raise MiaError("the shadow signals hold no " + ("non-members" if member.size and member.all() else "members"))


def check_references(references: Signals, both_sides: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Masks [K, N] of the reference models that did, and did not, train on each fragment; the population is always out.

    Models with an empty audit set are neither: they are not used. Where few models toss coins, all or none of them may have
    trained on a fragment: what is then known of the missing side is up to the attack. Raises MiaError unless the signals are
    aligned and some fragment is outside a model and, with `both_sides`, inside another.
    """
    if not references.aligned:
        raise MiaError("this attack needs reference models that know the target's speakers (aligned signals)")
    check_shadows(references)
    inside, outside = references.member == 1, references.member == 0
    if both_sides and not (inside.any(0) & outside.any(0)).any():
        raise MiaError("no fragment trained one reference model and not another: train more reference models")
    if references.population is not None:
        outside = outside | (references.population & (references.member >= 0).any(1, keepdims=True))
    return inside, outside


def masked_mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean over the models where `mask` [K, N] is true: [K, N] -> [N]; NaN where it never is."""
    with np.errstate(invalid="ignore"):
        return np.where(mask, values, 0.0).sum(0) / mask.sum(0)


def needs_of(attack: str) -> tuple[str, ...]:
    """What an attack sees beside the logits, as names of fields of Signals; nothing for most."""
    return tuple(getattr(ATTACKS.get(attack), "needs", ()))


def reads_names(attack: str) -> bool:
    """Whether an attack reads of altered copies only which speaker is answered."""
    return bool(getattr(ATTACKS.get(attack), "reads_names", False))


def learns(attack: str) -> bool:
    """Whether the scores of an attack depend on whose membership it was fitted on."""
    return bool(getattr(ATTACKS.get(attack), "learns", True))


def fragment_attacks() -> list[str]:
    """Names of the attacks that score single fragments, as opposed to persons."""
    return [name for name in ATTACKS.names() if "person" not in needs_of(name)]
