"""How a defense moves the losses of members and of non-members, on the validation model where strengths are chosen."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from mia_lib.studies.shadow import ShadowStudy


def losses_behind(study: ShadowStudy, names: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Losses in nats of the validation model's members and non-members (protocol `utterance`) behind each defense:
    name -> (members [n], non-members [m])."""
    found = {}
    for name in names:
        validation = study.validation()
        defended = validation if name == "none" else validation.defended(name)
        signals = defended.signals(defended.targets()[0], "utterance")
        loss, member = signals.statistics.loss[0], signals.member[0]
        found[name] = loss[member == 1], loss[member == 0]
    return found


def told_by_loss(members: np.ndarray, others: np.ndarray) -> float:
    """AUC of a threshold on the loss, which members have less of: 0.5 where the two lie alike, whatever their medians."""
    return float(roc_auc_score(np.repeat([0, 1], [len(members), len(others)]), np.concatenate([members, others])))
