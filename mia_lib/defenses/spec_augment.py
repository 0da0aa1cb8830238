"""SpecAugment (Park et al., Interspeech 2019): features with a run of frames and a run of bins blotted out."""

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.layers import StackedNetwork
from mia_lib.objectives import Batch, Objective
from mia_lib.training import Job


def runs(width: Tensor, place: Tensor, share: Tensor, length: int) -> Tensor:
    """One run of true in each row, bool [models, batch, length].

    Its width is uniform from 0 to `share` [models] of the length, its place uniform among those where it fits; `width`
    and `place` [models, batch] are uniform draws.
    """
    width = (width * (share[:, None] * length + 1)).long()
    start = (place * (length - width + 1)).long()[..., None]
    position = torch.arange(length, device=width.device)
    return (position >= start) & (position < start + width[..., None])


class Masked(Objective):
    """Cross-entropy of features whose masked frames and bins are the model's mean, which is 0 once normalised."""

    def __init__(self, strength: Tensor):
        self.strength = strength

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        draws = batch.random(labels.shape[1], 4).unbind(-1)
        frames, bins = features.shape[-2:]
        masked = (
            runs(*draws[:2], self.strength, frames)[..., None] | runs(*draws[2:], self.strength, bins)[..., None, :]
        )
        return super().losses(network, torch.where(masked, network.mean[:, None, None], features), labels, batch)


@DEFENSES.register("spec_augment")
class SpecAugment(Defense):
    """Training on features with one run of frames and one of bins masked, each up to a share `strength` of the axis."""

    family = "regularisation"
    strengths = (0.2, 0.4, 0.8)
    default = 0.4
    bounds = (0.0, 1.0)
    trains = True

    def objective(self, job: Job) -> Objective:
        return Masked(self.strength_of(job))
