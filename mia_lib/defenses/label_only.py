"""Nothing but the speaker's name: what every attack can still see where posteriors are not given out."""

import numpy as np

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.output import OutputDefense
from mia_lib.defenses.rank_reciprocal import by_rank


@DEFENSES.register("label_only")
class LabelOnly(OutputDefense):
    """Only the label is given out: posterior 1 for the speaker that the model names, 0 for all others."""

    family = "obfuscation"

    def alter(self, log_p: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(by_rank(log_p, 1))
