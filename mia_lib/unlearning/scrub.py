"""SCRUB (Kurmanji, Triantafillou, Hayes and Triantafillou, NeurIPS 2023): a student leaves its teacher in one respect only.

The student begins as the model itself. It is kept near it, by KL(teacher ‖ student) and the labels, on those who stay, and
driven from it, by the same divergence, on who leaves. The paper alternates epochs of the two, and ends with some of the
first kind; the weights of its terms are hyperparameters there, and 1 each here. A person has so few fragments that an epoch
of the second kind is a step or two; these stand at the beginning of the next epoch on those who stay, since at the teacher
itself the divergence has no slope. "Rewinding" to an earlier epoch, so that the person is not lost too thoroughly, is left
out: it needs recordings of the person that no model trained on.
"""

import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, cross_entropy
from mia_lib.unlearning.base import METHODS, Method
from mia_lib.unlearning.sides import BothSides, divergence, frozen_copy

RATE = 0.2  # times the learning rate of the training
STEPS = 2  # away from the teacher at the beginning of an epoch


def scrubbing(stay: Tensor, leave: Tensor, away: Tensor) -> Tensor:
    """The loss of each model [models]: its term on those who stay, or where `away` (bool [models]) less the divergence on
    who leaves."""
    return torch.where(away, -leave, stay)


class Scrubbing(BothSides):
    """Steps of both kinds: every model goes away from its teacher at the first STEPS of each epoch but its first."""

    def begin(self, job: Job, network: StackedNetwork) -> None:
        super().begin(job, network)
        self.teacher = frozen_copy(network)
        self.epoch = torch.zeros_like(self.sizes[:, 0])
        self.since = torch.full_like(self.epoch, STEPS)

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        self.since = torch.where(batch.epoch > self.epoch, 0, self.since + 1)
        self.epoch = batch.epoch.clone()
        size = labels.shape[1]
        inputs, known = self.with_leavers(features, labels, batch)
        logits = network(inputs)
        apart = divergence(self.teacher(inputs), logits)
        stay = apart[:, :size].mean(1) + cross_entropy(logits, known)[:, :size].mean(1)
        return scrubbing(stay, apart[:, size:].mean(1), self.since < STEPS), logits[:, :size]

    def tensors(self) -> dict[str, Tensor]:
        return {"epoch": self.epoch, "since": self.since}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.epoch, self.since = tensors["epoch"], tensors["since"]


@METHODS.register("scrub")
class Scrub(Method):
    """Away from the model's own answers on the person in `strength` epochs, near them on those who stay in one more."""

    strengths = (1, 2)
    default = 2
    bounds = (1, float("inf"))
    whole = True
    memory = 1.5

    def changed(self, job: Job) -> Job:
        return self.short(job, (self.strength_of(job) + 1).tolist(), RATE)

    def objective(self, job: Job) -> Objective:
        return Scrubbing()
