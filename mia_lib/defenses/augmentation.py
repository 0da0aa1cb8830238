"""Augmentation of the audio: a model that hears each recording differently every time has less to remember."""

from functools import partial

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import InputDefense
from mia_lib.models.network import StackedNetwork
from mia_lib.support.errors import UsageError
from mia_lib.training.batch import Alteration, Batch
from mia_lib.training.job import Job


def replaced(network: StackedNetwork, features: Tensor, batch: Batch, probability: Tensor, augmented: Tensor) -> Tensor:
    """Each fragment's features, or with a probability [models] or [1] those of one of its altered copies.

    augmented: [copies, N, frames, bins].
    """
    chance, choice = batch.random("augmentation", features.shape[1], 2).unbind(-1)
    copies = augmented[(choice * len(augmented)).long(), batch.indices].to(features.dtype)
    return torch.where((chance < probability[:, None])[..., None, None], copies, features)


@DEFENSES.register("augmentation")
class Augmentation(InputDefense):
    """Training on altered audio with probability `strength`: noise, reverberation, another level, a small shift.

    A few altered copies of each fragment are made once, before training (`mia_lib.fragments.augmentation`). The features are
    normalised as those of the unaltered fragments.
    """

    family = "regularisation"
    strengths = (0.25, 0.5, 1.0)
    default = 1.0
    bounds = (0.0, 1.0)
    needs_augmented = True

    def alteration(self, strength: Tensor, job: Job) -> Alteration:
        if job.augmented is None:
            raise UsageError("defense 'augmentation' needs the features of altered copies (augmented of the job)")
        return partial(replaced, probability=strength, augmented=job.augmented.to(job.device))
