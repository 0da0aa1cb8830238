"""What becomes of a few fragments while a stack trains: the training is as it would be, and is looked at now and then."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.objective import Objective

if TYPE_CHECKING:
    from mia_lib.training.job import Job


class Watched(Objective):
    """Mean cross-entropy of each model; before every `every`-th step all models are asked about some fragments.

    rows: which fragments. `looks` holds what they answered, float32 [models, rows, classes] each, and `epochs` how many
    passes over its own fragments each model had done by then, float [models] each. What models answer, they answer in
    evaluation mode, so no running statistics move and the weights end as they would have without being looked at.
    """

    draws = True  # the host has a part in a step

    def __init__(self, rows: Sequence[int], every: int):
        self.rows, self.every = list(rows), every
        self.looks: list[np.ndarray] = []
        self.epochs: list[np.ndarray] = []

    def begin(self, job: "Job", network: StackedNetwork) -> None:
        places = torch.as_tensor(self.rows, device=network.mean.device)
        self.features = job.features.to(network.mean.device)[places].to(network.mean.dtype)
        self.passes = torch.tensor(job.config.epochs_of(len(job.train)))

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        if batch.step % self.every == 0:
            self.epochs.append((batch.progress.cpu() * self.passes).numpy())
            self.look(network)
            network.train()
        return super().losses(network, features, labels, batch)

    @torch.no_grad()
    def look(self, network: StackedNetwork) -> None:
        """Ask all models once. The network is left in evaluation mode."""
        self.looks.append(network.eval()(self.features).float().cpu().numpy())
