"""mixup (Zhang et al., ICLR 2018): no model ever sees a fragment itself, only blends of two."""

import numpy as np
import torch
from scipy.special import betaincinv
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, cross_entropy


def larger_shares(alpha: Tensor, uniform: Tensor) -> Tensor:
    """max(l, 1 - l) for l ~ Beta(alpha, alpha), by inversion of its distribution at `uniform`; [models] each.

    Which of a pair has the larger share is left to their order: the blends are distributed as with l itself. For alpha 0
    it is 1: no blend.
    """
    a, u = alpha.cpu().double().numpy(), uniform.cpu().double().numpy()
    share = np.where(a > 0, betaincinv(np.where(a > 0, a, 1.0), np.where(a > 0, a, 1.0), u), 1.0)
    return torch.as_tensor(np.maximum(share, 1 - share)).to(alpha)


class MixupObjective(Objective):
    """Cross-entropy of blends, with the labels of both parts in proportion; strength [models] is alpha.

    Blends of features are blends of normalised features: normalisation is affine and the same for both parts. The
    accuracy that is followed is that of naming the larger part.
    """

    draws = True

    def __init__(self, strength: Tensor):
        self.strength = strength

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        share = larger_shares(self.strength, batch.random("shares of mixup"))
        partner = batch.random("partners of mixup", labels.shape[1]).argsort(-1)
        others = torch.take_along_dim(features, partner[..., None, None], 1)
        large, small = share[:, None, None, None], 1 - share[:, None, None, None]
        logits = network(large * features + small * others)
        own, other = cross_entropy(logits, labels).mean(1), cross_entropy(logits, labels.gather(1, partner)).mean(1)
        return share * own + (1 - share) * other, logits


@DEFENSES.register("mixup")
class Mixup(Defense):
    """Training on blends of two fragments and of their labels, in shares drawn from Beta(strength, strength)."""

    family = "regularisation"
    strengths = (0.2, 1.0, 4.0)
    default = 1.0
    cost = 1.2
    bounds = (0.0, 1000.0)
    trains = True

    def objective(self, job: Job) -> Objective:
        return MixupObjective(self.strength_of(job))
