"""Pair-based posterior balancing, PPB (Yuan and Zhang, USENIX Security 2022): pruned models that are as sure of all alike."""

import math

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.pruning import PRUNED_AT, Pruning, PruningObjective
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective

SHARE = 0.6  # of the weights, the least that the paper prunes


def imbalance(logits: Tensor) -> Tensor:
    """Mean KL(sorted q_i || sorted p_i) in nats over pairs of the first and the second half of a batch, [models].

    logits: [models, batch, classes], of an odd batch without the last; p and q are the posteriors of the first and the second
    of a pair, each sorted. The direction is that of the authors' code (mia_prune, train_defend_ppb).
    """
    ranked = torch.log_softmax(logits.sort(-1, descending=True).values, -1)
    pairs = ranked.shape[1] // 2
    p, q = ranked[:, :pairs], ranked[:, pairs : 2 * pairs]
    absent = torch.isneginf(q)
    return torch.where(absent, 0, q.exp() * (q - p).masked_fill(absent, 0)).sum(-1).mean(1)


class BalancedObjective(PruningObjective):
    """Pruning, after which cross-entropy plus weight [models] times the imbalance is minimised."""

    def __init__(self, weight: Tensor):
        super().__init__(torch.full_like(weight, SHARE))
        self.weight = weight

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, logits = super().losses(network, features, labels, batch)
        return loss + self.weight * (batch.progress > PRUNED_AT) * imbalance(logits), logits


@DEFENSES.register("pair_balancing")
class PairBalancing(Pruning):
    """Pruned halfway (60 %), then trained on with a penalty on how far the sorted posteriors of two fragments differ."""

    family = "regularisation"
    strengths = (4.0, 16.0)
    default = 4.0
    bounds = (0.0, math.inf)

    def objective(self, job: Job) -> Objective:
        return BalancedObjective(self.strength_of(job))
