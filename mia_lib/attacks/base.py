"""What every attack looks like: fit on the signals of shadow models, then score a target's."""

from typing import Protocol

import numpy as np

from mia_lib.errors import MiaError
from mia_lib.signals import Signals


class Attack(Protocol):
    """A membership inference attack: `fit` on shadow signals, then `score` a target."""

    def __init__(self, seed: int = 0): ...

    def fit(self, shadows: Signals) -> "Attack":
        """Learn from shadow models, whose membership the attacker knows."""

    def score(self, target: Signals) -> np.ndarray:
        """One score per model and fragment, float64 [K, N]; higher means member. Never reads `target.member`."""


def check_shadows(shadows: Signals) -> None:
    """Raise MiaError unless the shadows' audit sets hold members and non-members."""
    _, member = shadows.audited()
    if member.all() or not member.any():
        raise MiaError("the shadow signals hold no " + ("non-members" if member.size and member.all() else "members"))
