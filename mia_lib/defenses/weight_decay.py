"""Weight decay: L2 regularisation, the simplest way to keep a model from fitting its training set too closely."""

import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.network import StackedNetwork
from mia_lib.training.adam import gradient
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective


class WeightDecayObjective(Objective):
    """Cross-entropy plus strength / 2 times the sum of all squared parameters of each model.

    The penalty enters by its gradient, strength times the parameter; the losses that are followed do not hold it.
    """

    def __init__(self, strength: Tensor):
        self.strength = strength

    def backward(
        self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        result = super().backward(network, features, labels, batch)
        with torch.no_grad():
            for p in network.parameters():
                gradient(p).addcmul_(p, self.strength.view(-1, *[1] * (p.ndim - 1)))
        return result


@DEFENSES.register("weight_decay")
class WeightDecay(Defense):
    """L2 penalty on all parameters, part of the loss as in `torch.optim.Adam(weight_decay=strength)`.

    Part of the loss, not decoupled as in AdamW: it is what `weight_decay` of PyTorch's optimisers means, and so what
    a defender who uses the paper's tools gets.
    """

    family = "regularisation"
    of_paper = True
    strengths = (1e-2, 3e-2, 1e-1)
    default = 3e-2
    bounds = (0.0, float("inf"))
    trains = True

    def objective(self, job: Job) -> Objective:
        return WeightDecayObjective(self.strength_of(job))
