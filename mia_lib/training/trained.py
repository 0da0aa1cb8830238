"""Trained stacks: saved, read, taken apart and put together."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mia_lib.models import MODELS
from mia_lib.models.network import StackedNetwork
from mia_lib.training.job import TrainingConfig

WEIGHTS = "models.safetensors"


@dataclass
class TrainedModels:
    """A trained stack, and how it got there."""

    network: StackedNetwork
    config: TrainingConfig
    history: pd.DataFrame = field(repr=False)  # model, epoch, loss, train_accuracy, test_accuracy
    seconds: float = 0.0  # of processor time where one core trained, which others cannot lengthen; else of the clock

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), history (parquet) and the description (json) into `folder`."""
        network = self.network
        save_file({name: t.cpu().contiguous() for name, t in network.state_dict().items()}, folder / WEIGHTS)
        self.history.to_parquet(folder / "history.parquet")
        about = dict(frames=network.frames, bins=network.bins, classes=network.classes, seconds=self.seconds)
        (folder / "models.json").write_text(json.dumps(about | {"config": asdict(self.config)}), encoding="utf-8")

    def pick(self, models: Sequence[int]) -> "TrainedModels":
        """Some of the models, as if only they had been trained; of the time, their share."""
        old, config = self.network, self.config
        if not isinstance(config.epochs, int):
            config = replace(config, epochs=tuple(config.epochs[k] for k in models))
        classes = [old.classes[k] for k in models]
        network = type(old)(old.frames, old.bins, classes, config.norm).to(old.mean)
        for name, tensor in network.state_dict().items():  # the last layer is as wide as the largest number of classes
            tensor.copy_(old.state_dict()[name][list(models)][tuple(slice(size) for size in tensor.shape)])
        places = {k: i for i, k in enumerate(models)}
        history = self.history[self.history["model"].isin(places)]
        history = history.assign(model=history["model"].map(places)).reset_index(drop=True)
        seconds = round(self.seconds * len(models) / len(old.classes), 3)
        return TrainedModels(network.eval().requires_grad_(False), config, history, seconds)

    def weights(self, model: int) -> dict[str, torch.Tensor]:
        """A copy of the weights of one model, without the axis of models: what another training may begin from."""
        return {name: tensor[model].clone() for name, tensor in self.network.state_dict().items()}

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> "TrainedModels":
        """Read what `save` wrote."""
        about = json.loads((folder / "models.json").read_text(encoding="utf-8"))
        config = about["config"]
        if isinstance(config["epochs"], list):
            config["epochs"] = tuple(config["epochs"])
        config = TrainingConfig(**config)
        with safe_open(folder / WEIGHTS, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network = MODELS.get(config.model)(about["frames"], about["bins"], about["classes"], config.norm)
        network = network.to(weights["mean"].dtype)
        network.load_state_dict(weights)
        history = pd.read_parquet(folder / "history.parquet")
        return cls(network.to(device).eval(), config, history, about["seconds"])


def concatenated(parts: Sequence[TrainedModels]) -> TrainedModels:
    """Models that were trained in several calls, as if in one."""
    first, networks = parts[0], [part.network for part in parts]
    classes = [c for network in networks for c in network.classes]
    whole = type(first.network)(first.network.frames, first.network.bins, classes, first.config.norm)
    whole = whole.to(first.network.mean)
    for name, tensor in whole.state_dict().items():
        tensor.zero_()  # the last layer of a part may be narrower
        start = 0
        for network in networks:
            own = network.state_dict()[name]
            tensor[start : start + len(own)][tuple(slice(size) for size in own.shape)] = own
            start += len(own)
    epochs = tuple(e for p in parts for e in p.config.epochs_of(len(p.network.classes)))
    starts = np.cumsum([0, *(len(network.classes) for network in networks)])
    history = [p.history.assign(model=p.history["model"] + k) for p, k in zip(parts, starts, strict=False)]
    whole = whole.eval().requires_grad_(False)
    config = replace(first.config, epochs=epochs)
    return TrainedModels(whole, config, pd.concat(history, ignore_index=True), sum(part.seconds for part in parts))
