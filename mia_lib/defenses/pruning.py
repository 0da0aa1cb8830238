"""Pruning as on devices: the smallest weights of a network are removed, and it trains on without them.

Global magnitude pruning with fine-tuning, as in Yuan and Zhang (USENIX Security 2022), who found that what is pruned and
fine-tuned on the same data may leak more. Here it happens within one training of the usual length, at PRUNED_AT of it. All
layers are ranked together, each weight in units of its layer's root mean square: layers start at scales of their own, and by
plain magnitudes nearly all of the last one would go.
"""

from dataclasses import replace

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.layers import Linear
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective

PRUNED_AT = 0.5  # of a model's training


def weight_matrices(network: StackedNetwork) -> dict[str, tuple[Tensor, Tensor]]:
    """The weights that may be pruned by their names, [models, inputs, outputs] each, with a mask of those that a model has:
    the last layer has columns for classes that only others know. Biases and normalisation stay."""
    found = {}
    for name, layer in network.named_modules():
        weight = getattr(layer, "weight", None)
        if not isinstance(weight, Tensor) or weight.ndim != 3:
            continue
        own = torch.ones_like(weight, dtype=torch.bool)
        if isinstance(layer, Linear) and layer.sizes is not None:
            sizes = torch.tensor(layer.sizes, device=weight.device)[:, None, None]
            own &= torch.arange(weight.shape[2], device=weight.device) < sizes
        found[f"{name}.weight"] = weight, own
    return found


def relative(weight: Tensor, own: Tensor) -> Tensor:
    """Magnitudes of weights [models, inputs, outputs] in units of the root mean square of those that a model has."""
    total = (weight.square() * own).sum((1, 2), keepdim=True)
    scale = (total / own.sum((1, 2), keepdim=True)).sqrt()
    return weight.abs() / scale.clamp_min(torch.finfo(weight.dtype).tiny)


def smallest(magnitudes: Tensor, own: Tensor, share: Tensor) -> Tensor:
    """The `share` [models] of each model's own numbers [models, n] with the smallest magnitude, bool [models, n]."""
    order = magnitudes.masked_fill(~own, torch.inf).argsort(dim=1, stable=True)
    count = (share * own.sum(1)).round()[:, None]
    chosen = torch.arange(order.shape[1], device=order.device) < count
    return torch.zeros_like(own).scatter(1, order, chosen)


class PruningObjective(Objective):
    """Cross-entropy; at PRUNED_AT of each model's training a share of its weights becomes zero, and stays so."""

    draws = True  # a step prunes or does not, which the host decides

    def __init__(self, share: Tensor):
        self.share = share  # of the weights of each model, [models]

    def begin(self, job: Job, network: StackedNetwork) -> None:
        self.share = self.share.to(network.mean.device)
        self.removed = {name: torch.zeros_like(own) for name, (_, own) in weight_matrices(network).items()}
        self.pruned = torch.zeros(len(self.share), dtype=torch.bool, device=self.share.device)

    @torch.no_grad()
    def after_step(self, network: StackedNetwork, batch: Batch) -> None:
        due = (batch.progress >= PRUNED_AT) & ~self.pruned
        if due.any():
            self._prune(network, due)
        if self.pruned.any():
            for name, (weight, _) in weight_matrices(network).items():
                weight.masked_fill_(self.removed[name], 0)

    def _prune(self, network: StackedNetwork, due: Tensor) -> None:
        matrices = weight_matrices(network)
        magnitudes = torch.cat([relative(weight, own).flatten(1) for weight, own in matrices.values()], 1)
        removed = smallest(magnitudes, torch.cat([own.flatten(1) for _, own in matrices.values()], 1), self.share)
        sizes = [weight[0].numel() for weight, _ in matrices.values()]
        for (name, (weight, _)), part in zip(matrices.items(), removed.split(sizes, 1), strict=True):
            self.removed[name] |= part.view_as(weight) & due[:, None, None]
        self.pruned |= due

    def tensors(self) -> dict[str, Tensor]:
        return {"pruned": self.pruned} | {f"removed.{name}": mask for name, mask in self.removed.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.pruned = tensors["pruned"]
        self.removed = {name: tensors[f"removed.{name}"] for name in self.removed}


@DEFENSES.register("pruning")
class Pruning(Defense):
    """A share `strength` of all weights, the smallest, is removed halfway; training goes on without them.

    No early stopping: it would choose weights from before.
    """

    family = "regularisation"
    strengths = (0.6, 0.9)
    default = 0.6
    cost = 1.1
    bounds = (0.0, 0.99)
    trains = True

    def changed(self, job: Job) -> Job:
        return replace(job, config=replace(job.config, patience=0))

    def objective(self, job: Job) -> Objective:
        return PruningObjective(self.strength_of(job))
