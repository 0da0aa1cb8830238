"""What a stack of models is trained on, and how: everything that one call of `train_models` needs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.support.errors import UsageError
from mia_lib.training.batch import Alteration, Batch

if TYPE_CHECKING:
    from mia_lib.features.resident import Waveforms
    from mia_lib.training.public import PublicNetwork

PER_MODEL = ("train", "seeds", "test", "validation", "reference", "leaving", "start")
"""Fields of a job with one entry for each model."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a stack is trained; `epochs` may be one number or one per model."""

    model: str = "paper_mfcc"
    epochs: int | tuple[int, ...] = 50
    batch_size: int = 32  # fragments in one step of each model; 0: all that it has
    learning_rate: float = 1e-3
    schedule: str = "constant"  # or "cosine": to zero over each model's own steps
    patience: int = 0  # epochs without a lower validation loss after which a model stops (0: never)
    norm: str = "batch"  # how the network normalises, a name in `layers.NORMS`; "group" mixes no examples

    def epochs_of(self, models: int) -> tuple[int, ...]:
        """The epochs of each of so many models."""
        return (self.epochs,) * models if isinstance(self.epochs, int) else tuple(self.epochs)


@dataclass(frozen=True)
class Job:
    """Everything that one call of `train_models` trains on; see there. Five fields are for defenses: `reference`,
    fragments of each model's own speakers that are neither trained on nor audited; `augmented`, the features [copies, N,
    frames, bins] of altered copies of all fragments; `public`, a network that was trained on nobody's private speech;
    `groups`, int64 [N]: fragments with the same number were cut from one source and must stay on one side wherever a
    defense divides them (None: each stands for itself); and `alterations`, what is done, in this order, to the features of
    every batch before the objective sees them. Two are for unlearning:
    `leaving`, fragments that each model is to forget; and `start`, the weights that each begins from, as
    `TrainedModels.weights` gives them, with the means and scales of its features (None: drawn from its seed).
    """

    features: "Tensor | Waveforms"
    labels: np.ndarray
    train: Sequence[np.ndarray]
    config: TrainingConfig
    seeds: Sequence[int]
    test: Sequence[np.ndarray] | None = None
    validation: Sequence[np.ndarray] | None = None
    reference: Sequence[np.ndarray] | None = None
    leaving: Sequence[np.ndarray] | None = None
    start: Sequence[dict[str, Tensor]] | None = None
    augmented: Tensor | None = None
    public: "PublicNetwork | None" = None
    alterations: tuple[Alteration, ...] = ()
    groups: np.ndarray | None = None
    device: str | torch.device = "cpu"
    dtype: torch.dtype = torch.float32
    checkpoint: Path | None = None
    label: str = "train"

    def altered_inputs(self, network: StackedNetwork, features: Tensor, batch: Batch) -> Tensor:
        """A batch's features [models, batch, frames, bins] after all alterations."""
        for alteration in self.alterations:
            features = alteration(network, features, batch)
        return features

    def pick(self, models: Sequence[int]) -> "Job":
        """The job of some of the models."""
        given = {name: getattr(self, name) for name in PER_MODEL}
        parts: dict[str, Any] = {n: None if own is None else [own[k] for k in models] for n, own in given.items()}
        epochs = self.config.epochs_of(len(self.train))
        config = replace(self.config, epochs=tuple(epochs[k] for k in models))
        return replace(self, labels=self.labels[list(models)], config=config, **parts)


def joined(jobs: Sequence[Job]) -> Job:
    """Jobs on the same features that differ in their models only, as one; checkpoint and label are the first's."""
    first = jobs[0]
    parts: dict[str, Any] = {}
    for name in PER_MODEL:
        given = [getattr(job, name) for job in jobs]
        parts[name] = None if given[0] is None else [item for part in given for item in part]
    epochs = tuple(e for job in jobs for e in job.config.epochs_of(len(job.train)))
    labels = np.concatenate([job.labels for job in jobs])
    return replace(first, labels=labels, config=replace(first.config, epochs=epochs), **parts)


def begun_from(job: Job) -> list[str]:
    """A digest of the weights that the models of a job begin from; nothing where they are drawn."""
    if job.start is None:
        return []
    found = hashlib.sha256()
    for weights in job.start:
        for name in sorted(weights):
            found.update(name.encode() + weights[name].cpu().contiguous().numpy().tobytes())
    return [found.hexdigest()]


def required(fragments: Sequence[np.ndarray] | None, need: str) -> Sequence[np.ndarray]:
    """Validation or reference fragments of which every model must have some.

    Raises UsageError with the sentence `need` where there are none, naming the first model that has none.
    """
    if fragments is None:
        raise UsageError(need)
    lacking = [k for k, own in enumerate(fragments) if not len(own)]
    if lacking:
        raise UsageError(f"{need}; model {lacking[0]} has none")
    return fragments


def feature_statistics(features: "Tensor | Waveforms", indices: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per bin over each model's own fragments: two tensors [models, bins]."""
    n, frames, bins = features.shape
    total, square = torch.empty(n, bins, dtype=torch.float64), torch.empty(n, bins, dtype=torch.float64)
    for start in range(0, n, 1024):
        part = features[start : start + 1024].double()
        total[start : start + 1024], square[start : start + 1024] = part.sum(1).cpu(), (part**2).sum(1).cpu()
    means, scales = [], []
    for index in indices:
        mean = total[index].sum(0) / (len(index) * frames)
        variance = square[index].sum(0) / (len(index) * frames) - mean**2
        means.append(mean)
        scales.append(variance.clamp_min(1e-12).sqrt())
    return torch.stack(means), torch.stack(scales)


def own_steps(config: TrainingConfig, train: Sequence[np.ndarray]) -> np.ndarray:
    """Steps after which each model has passed `epochs` times over its fragments, int64 [models]."""
    sizes = np.array([len(index) for index in train])
    return -(-np.array(config.epochs_of(len(train))) * sizes // batch_sizes(config, train))


def batch_sizes(config: TrainingConfig, train: Sequence[np.ndarray]) -> np.ndarray:
    """Fragments in one step of each model, int64 [models]."""
    return np.array([config.batch_size or len(index) for index in train])
