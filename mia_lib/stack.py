"""Models trained together on given splits, and their answers to every fragment: two cached stages."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mia_lib.models import MODELS
from mia_lib.protocols import VALIDATION, Split
from mia_lib.signals import query_models
from mia_lib.training import TrainedModels, TrainingConfig, train_models

if TYPE_CHECKING:
    from mia_lib.experiment import Experiment


class Stack:
    """One model per split, trained in one call on an experiment's features.

    epochs: of each model. seeds: of each model; its weights and the order of its batches follow from it.
    """

    def __init__(self, experiment: "Experiment", splits: Sequence[Split], epochs: Sequence[int], seeds: Sequence[int]):
        s = experiment.settings
        self.experiment, self.splits, self.seeds = experiment, list(splits), [int(seed) for seed in seeds]
        self.config = TrainingConfig(s.model, tuple(epochs), s.batch_size, s.learning_rate, s.schedule, s.patience)

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of every fragment for every model, int64 [models, N]; -1 where its speaker is none of the classes."""
        return np.stack([split.labels(self.experiment.manifest) for split in self.splits])

    @cached_property
    def models(self) -> TrainedModels:
        """All models, trained in one call."""
        experiment, device = self.experiment, self.experiment.device

        def build(folder: Path, scratch: Path) -> None:
            validation = None
            if self.config.patience:
                validation = [np.flatnonzero(split.role == VALIDATION) for split in self.splits]
            train_models(
                experiment.features,
                self.labels,
                [split.train() for split in self.splits],
                self.config,
                self.seeds,
                test=[split.held_out() for split in self.splits],
                validation=validation,
                device=device,
                checkpoint=scratch / "checkpoint.safetensors",
            ).save(folder)

        parts = hashlib.sha256()
        for split in self.splits:
            parts.update(split.role.tobytes() + "\0".join(split.speakers).encode())
        params = dict(config=self.config.__dict__, seeds=self.seeds, features=experiment.feature_params())
        params |= dict(splits=parts.hexdigest(), device=device.type, threads=torch.get_num_threads())
        code = ["mia_lib.training", "mia_lib.models.layers", MODELS.get(self.config.model).__module__]
        return TrainedModels.load(experiment.cache.stage("models", params, code, build), device)

    @cached_property
    def logits(self) -> np.ndarray:
        """Answers of every model to every fragment, float32 [models, N, classes], memory-mapped."""
        experiment, models = self.experiment, self.models

        def build(folder: Path, _scratch: Path) -> None:
            np.save(folder / "logits.npy", query_models(models.network, experiment.features, experiment.device))

        weights = {name: tensor.double().sum().item() for name, tensor in models.network.state_dict().items()}
        params = {"features": experiment.feature_params(), "weights": weights, "config": models.config.__dict__}
        folder = experiment.cache.stage("logits", params, ["mia_lib.signals", "mia_lib.models.layers"], build)
        return np.load(folder / "logits.npy", mmap_mode="r")
