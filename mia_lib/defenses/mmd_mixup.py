"""MMD and mixup (Li, Li and Ribeiro, CODASPY 2021): answers to training recordings should lie as those to others do.

The paper's text was not at hand beyond its abstract (arXiv 2002.12062): cross-entropy on blends, plus the squared maximum
mean discrepancy (Gretton et al., JMLR 2012) between softmax answers to training and to reference recordings. Class by class,
one reference recording for each training one, and the widths of the kernel are as understood here.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.defenses.mixup import MixupObjective
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch, in_rows
from mia_lib.training.job import Job, required
from mia_lib.training.objective import Objective

ALPHA = 1.0  # of mixup
WIDTHS = (0.1, 0.3, 1.0)  # of the Gaussian kernels, in units of posteriors, which are at most sqrt(2) apart


def gaussian(a: Tensor, b: Tensor) -> Tensor:
    """Mean over WIDTHS of exp(-|a_i - b_j|^2 / (2 width^2)): [models, n, classes] twice -> [models, n, n]."""
    squares = (a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :] - 2 * a @ b.mT).clamp_min(0)
    return torch.stack([(-squares / (2 * width**2)).exp() for width in WIDTHS]).mean(0)


def class_discrepancy(trained: Tensor, others: Tensor, labels: Tensor) -> Tensor:
    """Squared MMD of posteriors [models, n, classes], class by class, mean over the classes of a batch: [models].

    Row i of `others` is of the class labels[:, i], int64 [models, n], as row i of `trained` is. With n_c rows of class c it
    is the sum over its pairs of k(t_i, t_j) + k(o_i, o_j) - 2 k(t_i, o_j), over n_c^2 (Gretton et al. 2012, eq. 5).
    """
    same = (labels[:, :, None] == labels[:, None, :]).to(trained.dtype)
    count = same.sum(2)  # of each row's class
    classes = (1 / count).sum(1)
    pairs = gaussian(trained, trained) + gaussian(others, others) - 2 * gaussian(trained, others)
    return (pairs * same / count[:, :, None].square()).sum((1, 2)) / classes


class MMDMixupObjective(MixupObjective):
    """Mixup's loss plus strength [models] times the discrepancy between a batch and as many reference fragments.

    The reference fragments are of the batch's own speakers, one drawn for each. Training and reference fragments pass
    together, so that batch normalisation treats them alike; its running statistics come from the blends alone. A speaker who
    has no reference fragment adds nothing.
    """

    def __init__(self, strength: Tensor):
        super().__init__(torch.full_like(strength, ALPHA))
        self.weight = strength

    def begin(self, job: Job, network: StackedNetwork) -> None:
        reference = required(job.reference, "defense 'mmd_mixup' needs reference fragments to compare answers with")
        self.job, device = job, network.mean.device
        self.features = job.features.to(device)
        classes, rows = max(network.classes), []
        counts = np.zeros((len(reference), classes), dtype=np.int64)
        for k, own in enumerate(reference):
            own = own[job.labels[k][own] >= 0]
            order = own[np.argsort(job.labels[k][own], kind="stable")]
            counts[k] = np.bincount(job.labels[k][order], minlength=classes)
            rows.append(order)
        self.rows = in_rows(rows).to(device)
        self.counts = torch.from_numpy(counts).to(device)
        self.first = self.counts.cumsum(1) - self.counts

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, logits = super().losses(network, features, labels, batch)
        count = self.counts.gather(1, labels)
        drawn = batch.random("reference fragments of MMD", labels.shape[1]).double()
        place = self.first.gather(1, labels) + (drawn * count).long()
        rows = self.rows.gather(1, place.clamp_max(self.rows.shape[1] - 1))
        others = self.features[rows].to(network.mean.dtype)
        known = (count > 0)[..., None, None]
        others = self.job.altered_inputs(network, others, replace(batch, indices=rows))
        both = torch.cat([features, torch.where(known, others, features)], 1)
        statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
        trained, others = functional_call(network, statistics, (both,)).softmax(-1).chunk(2, 1)
        return loss + self.weight * class_discrepancy(trained, others, labels), logits


@DEFENSES.register("mmd_mixup")
class MMDMixup(Defense):
    """Mixup, and a penalty on how far answers to training recordings lie from those to reference recordings of a speaker."""

    family = "regularisation"
    strengths = (1.0, 5.0)
    default = 1.0
    cost = 3.2
    memory = 3.0
    bounds = (0.0, math.inf)
    trains = True
    needs_reference = True

    def objective(self, job: Job) -> Objective:
        return MMDMixupObjective(self.strength_of(job))
