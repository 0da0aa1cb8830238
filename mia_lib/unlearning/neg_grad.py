"""NegGrad+ (named so by Kurmanji et al., NeurIPS 2023): descent on those who stay, ascent on who leaves, in one step."""

from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, cross_entropy
from mia_lib.unlearning.base import METHODS, Method
from mia_lib.unlearning.sides import BothSides

EPOCHS, RATE = 1, 0.1  # over those who stay; times the learning rate of the training


class Opposed(BothSides):
    """(1 - s) times the mean cross-entropy of those who stay less s times that of who leaves; s: `share` [models]."""

    def __init__(self, share: Tensor):
        self.share = share

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        size = labels.shape[1]
        inputs, known = self.with_leavers(features, labels, batch)
        logits = network(inputs)
        losses = cross_entropy(logits, known)
        loss = (1 - self.share) * losses[:, :size].mean(1) - self.share * losses[:, size:].mean(1)
        return loss, logits[:, :size]


@METHODS.register("neg_grad")
class NegGrad(Method):
    """Descent on those who stay minus ascent on the person, which weighs a share `strength`."""

    strengths = (0.02, 0.1, 0.3)
    default = 0.1
    bounds = (0.0, 1.0)

    def changed(self, job: Job) -> Job:
        return self.short(job, EPOCHS, RATE)

    def objective(self, job: Job) -> Objective:
        return Opposed(self.strength_of(job))
