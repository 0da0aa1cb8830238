"""Label smoothing (Szegedy et al., CVPR 2016): the model is told to be a little unsure."""

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, cross_entropy, soft_cross_entropy


class LabelSmoothingObjective(Objective):
    """(1 - s) cross-entropy with the label + s cross-entropy with the uniform distribution, s = `strength` [models]."""

    def __init__(self, strength: Tensor):
        self.strength = strength

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = network(features)
        with_label = cross_entropy(logits, labels)
        with_all = soft_cross_entropy(logits, torch.ones_like(logits)) / torch.isfinite(logits).sum(-1)
        return (1 - self.strength) * with_label.mean(1) + self.strength * with_all.mean(1), logits


@DEFENSES.register("label_smoothing")
class LabelSmoothing(Defense):
    """Targets that give a share `strength` to all speakers alike and the rest to the right one."""

    family = "regularisation"
    strengths = (0.2, 0.4, 0.8)
    default = 0.2
    bounds = (0.0, 0.99)
    trains = True

    def objective(self, job: Job) -> Objective:
        return LabelSmoothingObjective(self.strength_of(job))
