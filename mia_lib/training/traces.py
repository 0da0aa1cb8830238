"""What each fragment's loss was in every pass over the training set: noted by training itself, at no further pass."""

import numpy as np
import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, cross_entropy


class FollowedLosses(Objective):
    """Cross-entropy as ever; `of(k)` gives the losses that model k's fragments had when it trained on them."""

    def begin(self, job: Job, network: StackedNetwork) -> None:
        device, models = network.mean.device, len(job.train)
        self.fragments = [np.asarray(own) for own in job.train]
        place = np.zeros((models, len(job.features)), np.int64)
        for row, own in zip(place, self.fragments, strict=True):
            row[own] = np.arange(len(own))
        self.place = torch.from_numpy(place).to(device)
        self.passes = max(job.config.epochs_of(models)) + 1  # the last is seldom whole
        size = models, max(map(len, self.fragments)), self.passes + 1  # behind them: losses of models that are finished
        self.trace = torch.full(size, torch.nan, device=device)
        self.rows = torch.arange(models, device=device)[:, None]

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = network(features)
        each = cross_entropy(logits, labels)
        places = self.place.gather(1, batch.indices)
        at = torch.where(batch.progress < 1, batch.epoch, self.passes)[:, None].expand_as(places)
        self.trace[self.rows, places, at] = each.detach().to(self.trace)
        return each.mean(1), logits

    def of(self, model: int) -> np.ndarray:
        """float64 [n, passes] of the model's own fragments in their order; NaN where a pass did not reach one."""
        return self.trace[model, : len(self.fragments[model]), : self.passes].double().cpu().numpy()


def interquartile_range(losses: np.ndarray) -> np.ndarray:
    """How far apart the quartiles of each fragment's losses [n, passes] lie over the passes: float64 [n].

    LT-IQR (Pollock et al. 2024, arXiv 2411.05743). Theirs are losses after each epoch; these are those met in training.
    """
    low, high = np.nanquantile(losses, [0.25, 0.75], axis=1)
    return high - low
