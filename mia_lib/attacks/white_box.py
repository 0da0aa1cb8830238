"""White-box attacks, for an auditor who owns the model: gradients and activations, calibrated as LiRA calibrates confidences.

Gradients as a sign of membership: Nasr, Shokri and Houmansadr (IEEE S&P 2019). The ratios are those of LiRA (Carlini et al.,
IEEE S&P 2022, eq. 3), with another number in the place of the logit-scaled confidence.
"""

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import Attack
from mia_lib.attacks.combined import Combination
from mia_lib.attacks.lira import LiRA
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError


def one_internal(signals: Signals, name: str) -> np.ndarray:
    """One of the INTERNALS of every model and fragment, float64 [K, N]; raises MiaError where the signals hold none."""
    if signals.internals is None:
        raise MiaError("this attack reads inside the model, but the signals hold no internals (see read_internals)")
    if signals.internals.shape[2] != len(INTERNALS):
        raise MiaError(f"internals must hold {len(INTERNALS)} numbers per fragment ({', '.join(INTERNALS)})")
    return signals.internals[..., INTERNALS.index(name)].astype(np.float64)


class InternalRatio(LiRA):
    """LiRA's likelihood ratio of one of the internals."""

    needs = ("internals",)

    def __init__(self, seed: int = 0, internal: str = "log_gradient_norm", variance: str = "student"):
        super().__init__(seed, variance)
        self.internal = internal

    def values(self, signals: Signals) -> np.ndarray:
        return one_internal(signals, self.internal)


@ATTACKS.register("gradient_norm")
class GradientNorm(InternalRatio):
    """Likelihood ratio of the log gradient norm: models that trained on the fragment against the others (white box)."""

    def __init__(self, seed: int = 0, variance: str = "student"):
        super().__init__(seed, "log_gradient_norm", variance)


@ATTACKS.register("white_box")
class WhiteBox(Combination):
    """Likelihood ratios of the confidence and of all internals, weighed by a logistic model (white box)."""

    needs = ("internals",)

    def build_parts(self) -> list[Attack]:
        return [LiRA(self.seed), *(InternalRatio(self.seed, name) for name in INTERNALS)]
