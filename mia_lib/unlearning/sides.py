"""What methods share that look at both sides at every step: fragments of those who stay, and of who leaves."""

from copy import deepcopy

import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch, in_rows
from mia_lib.training.job import Job, required
from mia_lib.training.objective import Objective

LEAVING = 16  # fragments of who leaves in each step, in turn
NEED = "unlearning needs fragments that are to be forgotten"


def divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(softmax(teacher) ‖ softmax(student)) of each example in nats: logits [models, batch, classes] -> [models, batch].

    Classes that a model does not have (logit -inf in both) add nothing.
    """
    absent = torch.isneginf(teacher)
    log_p, log_q = (torch.log_softmax(logits, -1).masked_fill(absent, 0.0) for logits in (teacher, student))
    return (log_p.exp().masked_fill(absent, 0.0) * (log_p - log_q)).sum(-1)


class BothSides(Objective):
    """Base of objectives that see a batch of each side.

    Normalisation keeps the statistics that it has: those of one person's speech alone would take their place.
    """

    draws = True

    def begin(self, job: Job, network: StackedNetwork) -> None:
        leaving, device = required(job.leaving, NEED), network.mean.device
        self.leaving = in_rows(leaving).to(device)
        self.sizes = torch.tensor([len(rows) for rows in leaving], device=device)[:, None]
        self.features, self.labels = job.features.to(device), torch.as_tensor(job.labels).to(device)
        network.eval()

    def leavers(self, step: int) -> Tensor:
        """Fragments of who leaves that each model sees at a step, int64 [models, LEAVING]: one after the other, in turn."""
        turn = step * LEAVING + torch.arange(LEAVING, device=self.sizes.device)
        return self.leaving.gather(1, turn % self.sizes)

    def with_leavers(self, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Features and labels of the batch with LEAVING fragments of who leaves behind it."""
        rows = self.leavers(batch.step)
        return (
            torch.cat([features, self.features[rows].to(features)], 1),
            torch.cat([labels, self.labels.gather(1, rows)], 1),
        )


def frozen_copy(network: StackedNetwork) -> StackedNetwork:
    """The network as it is, to be asked while the other learns."""
    return deepcopy(network).eval().requires_grad_(False)
