"""A higher temperature makes answers less sure (Shokri et al., IEEE S&P 2017, section VIII)."""

import math

import numpy as np

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.output import OutputDefense
from mia_lib.signals.statistics import log_posteriors


@DEFENSES.register("temperature")
class Temperature(OutputDefense):
    """Logits are divided by a temperature (the strength): above 1 answers are less sure, in the same order."""

    family = "obfuscation"
    strengths = (2.0, 5.0, 20.0)
    default = 5.0
    bounds = (0.01, math.inf)

    def alter(self, log_p: np.ndarray) -> np.ndarray:
        return log_posteriors(log_p / self.one_strength())
