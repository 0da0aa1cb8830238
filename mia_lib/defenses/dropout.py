"""Dropout (Srivastava et al., JMLR 2014), named among the first defenses against membership inference (ML-Leaks)."""

from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.layers import Dropout
from mia_lib.models.network import StackedNetwork
from mia_lib.support.errors import UsageError
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective


class DropoutObjective(Objective):
    """Cross-entropy of networks whose dropout layers drop a share `strength` [models], with new masks at each step."""

    draws = True

    def __init__(self, strength: Tensor):
        self.strength = strength
        self.layers: list[Dropout] = []

    def begin(self, job: Job, network: StackedNetwork) -> None:
        self.layers = [layer for layer in network.modules() if isinstance(layer, Dropout)]
        if not self.layers:
            raise UsageError(f"defense 'dropout' needs a model with dropout layers, which {job.config.model!r} lacks")
        for layer in self.layers:
            layer.rate.copy_(self.strength)

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        for place, layer in enumerate(self.layers):
            layer.draws = batch.random(f"dropout {place}", labels.shape[1], layer.width)
        try:
            return super().losses(network, features, labels, batch)
        finally:
            for layer in self.layers:
                layer.draws = None


@DEFENSES.register("dropout")
class DropoutDefense(Defense):
    """Dropout of a share `strength` of the inputs of the last two layers while training; all answer when queried."""

    family = "regularisation"
    strengths = (0.25, 0.5, 0.85)
    default = 0.5
    cost = 1.1
    bounds = (0.0, 0.99)
    trains = True

    def objective(self, job: Job) -> Objective:
        return DropoutObjective(self.strength_of(job))
