"""Augmentation of the audio: a model that hears each recording differently every time has less to remember."""

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.errors import UsageError
from mia_lib.models.layers import StackedNetwork
from mia_lib.objectives import Batch, Objective
from mia_lib.training import Job


class Augmented(Objective):
    """Cross-entropy where each fragment is, with probability `strength` [models], one of its altered copies."""

    def __init__(self, strength: Tensor):
        self.strength = strength
        self.variants: Tensor | None = None

    def begin(self, job: Job, network: StackedNetwork) -> None:
        if job.variants is None:
            raise UsageError("defense 'augmentation' needs the features of altered copies (variants of the job)")
        self.variants = job.variants.to(job.device)

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        chance, choice = batch.random(labels.shape[1], 2).unbind(-1)
        copies = self.variants[(choice * len(self.variants)).long(), batch.indices].to(features.dtype)
        replaced = (chance < self.strength[:, None])[..., None, None]
        return super().losses(network, torch.where(replaced, copies, features), labels, batch)


@DEFENSES.register("augmentation")
class Augmentation(Defense):
    """Training on altered audio with probability `strength`: noise, reverberation, another level, a small shift.

    A few altered copies of each fragment are made once, before training (see `mia_lib.variants`). The features are
    normalised as those of the unaltered fragments.
    """

    family = "regularisation"
    strengths = (0.25, 0.5, 1.0)
    default = 1.0
    cost = 1.2
    bounds = (0.0, 1.0)
    trains = True
    needs_variants = True

    def objective(self, job: Job) -> Objective:
        return Augmented(self.strength_of(job))
