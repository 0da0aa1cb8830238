"""SpecAugment (Park et al., Interspeech 2019): features with a run of frames and a run of bins blotted out."""

from functools import partial

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import InputDefense
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Alteration, Batch
from mia_lib.training.job import Job


def runs(width: Tensor, place: Tensor, share: Tensor, length: int) -> Tensor:
    """One run of true in each row, bool [models, batch, length].

    Its width is uniform from 0 to `share` [models] of the length, its place uniform among those where it fits; `width`
    and `place` [models, batch] are uniform draws.
    """
    width = (width * (share[:, None] * length + 1)).long()
    start = (place * (length - width + 1)).long()[..., None]
    position = torch.arange(length, device=width.device)
    return (position >= start) & (position < start + width[..., None])


def mask(network: StackedNetwork, features: Tensor, batch: Batch, share: Tensor) -> Tensor:
    """The features with one run of frames and one of bins at the model's mean, which is 0 once normalised.

    share: [models] or [1], the most of each axis that is masked.
    """
    width, place, height, level = batch.random("masks", features.shape[1], 4).unbind(-1)
    frames, bins = features.shape[-2:]
    masked = runs(width, place, share, frames)[..., None] | runs(height, level, share, bins)[..., None, :]
    return torch.where(masked, network.mean[:, None, None], features)


@DEFENSES.register("spec_augment")
class SpecAugment(InputDefense):
    """Training on features with one run of frames and one of bins masked, each up to a share `strength` of the axis."""

    family = "regularisation"
    strengths = (0.2, 0.4, 0.6)
    default = 0.4
    bounds = (0.0, 1.0)

    def alteration(self, strength: Tensor, job: Job) -> Alteration:
        return partial(mask, share=strength)
