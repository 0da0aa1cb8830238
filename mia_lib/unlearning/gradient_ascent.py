"""Gradient ascent on the person: training run backwards (Thudi et al., EuroS&P 2022, discuss it; Jang et al., ACL 2023)."""

from dataclasses import replace

from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job, required
from mia_lib.training.objective import Objective, cross_entropy
from mia_lib.unlearning.base import METHODS, Method
from mia_lib.unlearning.sides import NEED

RATE = 0.1  # times the learning rate of the training


class Ascent(Objective):
    """The mean cross-entropy of each model, to be raised; normalisation keeps the statistics that it has."""

    def begin(self, job: Job, network: StackedNetwork) -> None:
        network.eval()

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = network(features)
        return -cross_entropy(logits, labels).mean(1), logits


@METHODS.register("gradient_ascent")
class GradientAscent(Method):
    """Raise the loss on the person's fragments, in `strength` passes over them; those who stay are not looked at."""

    strengths = (4, 8, 16)
    default = 8
    bounds = (1, float("inf"))
    whole = True

    def changed(self, job: Job) -> Job:
        job = replace(job, train=required(job.leaving, NEED))
        return self.short(job, self.strength_of(job).tolist(), RATE)

    def objective(self, job: Job) -> Objective:
        return Ascent()
