"""HAMP (Chen and Pattabiraman, NDSS 2024), training part: overconfidence is a dangerous thing."""

import numpy as np
import torch
from scipy.special import entr
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, soft_cross_entropy

ALPHA = 0.01
"""Weight of the entropy term as published, where the divergence is averaged over classes as well as examples; beside a
mean over examples it weighs as many times more as there are classes."""


def top_target(gamma: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The largest entry of a soft label whose entropy is gamma log(classes), the others being equal; float64.

    By bisection to the last digit: the entropy falls from log(classes) at 1/classes to 0 at 1.
    """
    gamma, classes = np.broadcast_arrays(np.asarray(gamma, float), np.asarray(classes, float))
    low, high = 1 / classes, np.ones_like(classes)
    for _ in range(64):
        p = (low + high) / 2
        above = entr(p) + (classes - 1) * entr((1 - p) / (classes - 1)) > gamma * np.log(classes)
        low, high = np.where(above, p, low), np.where(above, high, p)
    return high


def soft_labels(labels: Tensor, top: Tensor, present: Tensor) -> Tensor:
    """`top` [models] for the true class, the rest shared evenly by the other present classes [models, batch, classes]."""
    top = top[:, None, None]
    others = (1 - top) / (present.sum(-1, keepdim=True) - 1)
    return torch.where(present, others, 0).scatter(-1, labels[..., None], top.expand(*labels.shape, 1))


def hamp_loss(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Mean KL(target, posterior) - weight × mean entropy of the posterior, in nats; one per model [models]."""
    divergence = soft_cross_entropy(logits, targets) - torch.special.entr(targets).sum(-1)
    entropy = soft_cross_entropy(logits, torch.softmax(logits, -1))
    return divergence.mean(1) - weight * entropy.mean(1)


class HAMPObjective(Objective):
    """HAMP's loss at the entropy threshold gamma = `strength` [models]; 0 is plain cross-entropy."""

    def __init__(self, strength: Tensor):
        self.strength = strength

    def begin(self, job: Job, network: StackedNetwork) -> None:
        classes = torch.as_tensor(network.classes).to(self.strength)
        top = top_target(self.strength.cpu().numpy(), np.asarray(network.classes))
        self.top = torch.as_tensor(top).to(self.strength)
        self.weight = torch.where(self.strength > 0, ALPHA * classes, 0.0)

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = network(features)
        return hamp_loss(logits, soft_labels(labels, self.top, torch.isfinite(logits)), self.weight), logits


@DEFENSES.register("hamp")
class HAMP(Defense):
    """HAMP's training: soft labels with a share `strength` of the largest entropy, and a reward for unsure answers.

    Together with the output part, `hamp:0.5+hamp_output`, it is the whole of HAMP.
    """

    family = "regularisation"
    strengths = (0.3, 0.5, 0.9)
    default = 0.5
    cost = 1.1
    bounds = (0.0, 0.99)
    trains = True

    def objective(self, job: Job) -> Objective:
        return HAMPObjective(self.strength_of(job))
