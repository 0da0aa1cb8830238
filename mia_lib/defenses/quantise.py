"""Quantisation as on devices: trained weights are rounded to a few bits. No defense by intention; does it hide or leak?

Symmetric, one scale for each weight tensor of a model, after training (Jacob et al., CVPR 2018, without its quantised
activations). Yuan and Zhang (USENIX Security 2022) attack pruned models; what is quantised belongs beside them.
"""

import numpy as np
import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.defenses.pruning import weight_matrices
from mia_lib.training.trained import TrainedModels


def rounded(weight: Tensor, bits: Tensor) -> Tensor:
    """Weights [models, ...] to integers of so many bits [models] and back.

    Of b bits, 2^(b-1) - 1 steps lead from zero to a model's largest magnitude; int8 has 127.
    """
    shape = -1, *[1] * (weight.ndim - 1)
    steps = (2 ** (bits.to(weight) - 1) - 1).view(shape)
    scale = (weight.abs().flatten(1).amax(1).view(shape) / steps).clamp_min(torch.finfo(weight.dtype).tiny)
    return (weight / scale).round() * scale


@DEFENSES.register("quantise")
class Quantise(Defense):
    """The weights of each trained model, to integers of `strength` bits and back; biases and normalisation stay."""

    family = "regularisation"
    strengths = (8.0, 4.0)
    default = 8.0
    bounds = (2.0, 16.0)
    whole = True
    trains = True

    def finished(self, models: TrainedModels) -> TrainedModels:
        bits = np.broadcast_to(np.atleast_1d(np.asarray(self.strength)), len(models.network.classes))
        with torch.no_grad():
            for weight, _ in weight_matrices(models.network).values():
                weight.copy_(rounded(weight, torch.tensor(bits.tolist())))
        return models
