"""RaMIA, range membership (Tao and Shokri, SaTML 2025, arXiv 2408.05131): was anything in a range trained on?

Who does not hold the training file asks about versions of what they hold. Each version is scored by itself; the score of the
range is a trimmed mean, since versions that no longer resemble the file only add noise. Which share is trimmed is ours.
"""

from typing import Any

import numpy as np
from scipy.stats import trim_mean

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.lira import OfflineLiRA
from mia_lib.attacks.queries import Queries
from mia_lib.signals.signals import Signals

TRIM = 0.25  # of the scores, at either end


@ATTACKS.register("ramia")
class RaMIA(Queries):
    """A range of versions: the trimmed mean of offline LiRA over what is asked about and all its altered copies."""

    single = OfflineLiRA

    def __init__(self, seed: int = 0, budget: int | None = None, trim: float = TRIM, **options: Any):
        """budget: queries of each fragment, the first included (None: all that there are). trim: see TRIM."""
        super().__init__(seed, 0 if budget is None else budget, **options)
        self.trim = trim

    def fit(self, references: Signals) -> "RaMIA":
        if not self.budget:
            self.budget = 2 if references.copies is None else 1 + len(references.copies)
        super().fit(references)
        return self

    def combined(self, scores: np.ndarray) -> np.ndarray:
        return trim_mean(scores, self.trim, axis=0)
