"""Rounding: posteriors are given out with few decimals (Shokri et al., IEEE S&P 2017, section VIII)."""

import numpy as np

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.output import OutputDefense


def rounded(p: np.ndarray, decimals: int) -> np.ndarray:
    """Posteriors [..., classes] rounded to that many decimals, half to even: no longer a distribution."""
    return np.round(p, decimals)


@DEFENSES.register("rounding")
class Rounding(OutputDefense):
    """Posteriors are rounded to a number of decimals (the strength), half to even, and divided by their sum.

    Where all round to zero, all are equal. The division tells nothing that the rounded posteriors do not tell. Rounding
    can tie the model's speaker with others but not put it behind them; the tie is broken as for every output defense.
    """

    family = "obfuscation"
    strengths = (3.0, 2.0, 1.0)
    default = 1.0
    bounds = (0, 10)
    whole = True

    def alter(self, log_p: np.ndarray) -> np.ndarray:
        p = rounded(np.exp(log_p), int(self.one_strength()))
        p = np.where(p.any(-1, keepdims=True), p, np.isfinite(log_p))
        with np.errstate(divide="ignore"):
            return np.log(p / p.sum(-1, keepdims=True))
