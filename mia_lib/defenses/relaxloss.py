"""RelaxLoss (Chen et al., ICLR 2022): training that holds the loss at a level instead of driving it to zero."""

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, cross_entropy, soft_cross_entropy


def flattened_targets(logits: Tensor, labels: Tensor) -> Tensor:
    """The true class keeps its posterior, the others share the rest evenly; [models, batch, classes], no gradient."""
    true = torch.softmax(logits.detach(), -1).gather(-1, labels[..., None])
    present = torch.isfinite(logits)
    others = (1 - true) / (present.sum(-1, keepdim=True) - 1)
    return torch.where(present, others, 0).scatter(-1, labels[..., None], true)


def relaxed_loss(logits: Tensor, labels: Tensor, alpha: Tensor, odd: Tensor) -> Tensor:
    """One loss per model [models], L being its mean cross-entropy over the batch.

    In even epochs |L - alpha|; in odd ones L if above alpha, else the mean cross-entropy with flattened targets. alpha:
    [models]; odd: bool [models].
    """
    loss = cross_entropy(logits, labels).mean(1)
    flattening = soft_cross_entropy(logits, flattened_targets(logits, labels)).mean(1)
    return torch.where(odd, torch.where(loss > alpha, loss, flattening), (loss - alpha).abs())


class RelaxLossObjective(Objective):
    """Algorithm 1 of the paper, with alpha = `strength` [models]."""

    def __init__(self, strength: Tensor):
        self.strength = strength

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = network(features)
        return relaxed_loss(logits, labels, self.strength, batch.epoch % 2 == 1), logits


@DEFENSES.register("relaxloss")
class RelaxLoss(Defense):
    """Gradient ascent wherever the mean loss falls below `strength` nats, and flatter posteriors in every second epoch.

    The paper's algorithm: flattening acts on every example, its targets are constants. The authors' image code differs in
    that it flattens only what is misclassified, adds an ascent on the cross-entropy, and lets gradients into the targets.
    """

    family = "regularisation"
    strengths = (0.1, 0.5, 1.0)
    default = 0.1
    bounds = (0.0, float("inf"))
    trains = True

    def objective(self, job: Job) -> Objective:
        return RelaxLossObjective(self.strength_of(job))
