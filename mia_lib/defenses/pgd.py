"""Adversarial training on the features (Madry et al., ICLR 2018): every batch is replaced by its worst neighbours.

It is meant against small changes of the input, not against membership inference, and on images was found to help the
latter (Song, Shokri and Mittal, CCS 2019): a model that is robust around its members treats them differently.
"""

import math

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, cross_entropy

STEPS = 3
STRIDE = 2.5 / STEPS  # of one step, in radii: a few steps reach every corner of the ball from wherever they start


def worst_neighbours(
    network: StackedNetwork, features: Tensor, labels: Tensor, radius: Tensor, start: Tensor
) -> Tensor:
    """Features [models, batch, frames, bins] within `radius` [models] whose loss is (nearly) the largest.

    radius: of an L-infinity ball around the features as the network normalises them, that is in standard deviations of
    each bin. start: in [-1, 1], shaped like the features, where in the ball the ascent begins. Projected gradient ascent
    by signs (Madry et al. 2018, section 2.1) on the network as it answers queries, in evaluation mode: no example's ascent
    depends on the others, and no running statistics move. The network is left in evaluation mode.
    """
    network.eval()
    reach = radius[:, None, None, None]
    scale = network.scale[:, None, None]
    shift = start * reach
    for _ in range(STEPS):
        shift.requires_grad_(True)
        loss = cross_entropy(network(features + scale * shift), labels).sum()
        (slope,) = torch.autograd.grad(loss, shift)
        shift = (shift.detach() + STRIDE * reach * slope.sign()).clamp(-reach, reach)
    return features + scale * shift


class PGDObjective(Objective):
    """Cross-entropy of the worst neighbours of each batch; the accuracy that is followed is that on these."""

    draws = True

    def __init__(self, radii: Tensor):
        self.radii = radii  # of each model, [models]

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        start = 2 * batch.random("start of PGD", *features.shape[1:]).to(features.dtype) - 1
        worst = worst_neighbours(network, features, labels, self.radii, start)
        return super().losses(network.train(), worst, labels, batch)


@DEFENSES.register("pgd")
class PGD(Defense):
    """Adversarial training against small changes of the features (Madry et al. 2018); strength: radius in deviations."""

    family = "adversarial"
    strengths = (0.05, 0.1, 0.2)
    default = 0.1
    cost = 3.2
    bounds = (0, math.inf)
    trains = True

    def objective(self, job: Job) -> Objective:
        return PGDObjective(self.strength_of(job))
