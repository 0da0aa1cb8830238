"""A public network: trained on synthetic voices, which are nobody's, so that a private training may begin from it.

The voices are drawn by a seed of their own, whatever the corpus: on `demo` they come from the same maker as the private
ones, on real speech from another world. Both are worth knowing, and both cost no epsilon.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from mia_lib.models.network import MODELS
from mia_lib.studies.dataset import Dataset
from mia_lib.support.cache import content
from mia_lib.support.digests import digest
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective
from mia_lib.training.public import PublicNetwork
from mia_lib.training.train import train_job
from mia_lib.training.trained import WEIGHTS, TrainedModels

VOICES_SEED = 97_700_977  # of the public voices: no run of the series should draw the same
EPOCHS = 15
CHUNK = 256  # fragments heard at once


@lru_cache(maxsize=4)
def public_voices(data: Dataset) -> Dataset:
    """Synthetic voices cut and turned into features as a dataset's are: one of them, for all models that begin from it."""
    s = data.settings
    kept = ("fragment_seconds", "fragment_hop_seconds", "short_utterances", "feature", "hop", "model", "batch_size")
    shape = {name: getattr(s, name) for name in (*kept, "learning_rate")}
    corpus = f"demo:{s.public_speakers}x{s.public_utterances}"
    voices = Dataset(corpus, "standard", VOICES_SEED, data.device.type, data.cache.root.parent, settings=shape)
    voices.cache.journal = data.cache.journal
    return voices


def _stage(data: Dataset) -> Path:
    """The folder of the public network, trained if it is not kept."""
    voices = public_voices(data)
    config = TrainingConfig(
        data.settings.model, EPOCHS, data.settings.batch_size, data.settings.learning_rate, "cosine", norm="group"
    )

    def build(folder: Path, scratch: Path) -> None:
        labels = voices.manifest["speaker"].astype(str).astype("category").cat.codes.to_numpy(np.int64)
        everything = np.arange(len(labels))
        job = Job(voices.resident, labels[None], [everything], config, [VOICES_SEED], device=data.device)
        job = replace(job, checkpoint=scratch / "checkpoint.safetensors", label="train on public voices")
        train_job(job, Objective()).save(folder)

    params = dict(voices.key, config=digest(repr(config)), seed=VOICES_SEED, device=data.device.type)
    return data.cache.stage("public", params, build, [MODELS.get(data.settings.model)])


def public_key(data: Dataset) -> str:
    """Digest of the public network's weights: what models rest on that begin from it."""
    return content(_stage(data), WEIGHTS)


def public_network(data: Dataset) -> PublicNetwork:
    """The public network for a dataset's features and architecture."""
    network = TrainedModels.load(_stage(data), data.device).network
    heard = _heard(network, public_voices(data).resident, data.device)
    centre = heard.mean(0)
    weights = {name: tensor[0] for name, tensor in network.state_dict().items()}
    return PublicNetwork(weights, centre, float((heard - centre).norm(dim=1).mean()))


@torch.no_grad()
def _heard(network, features, device: torch.device) -> torch.Tensor:
    """What the last layer reads of every fragment, [N, inputs]."""
    parts = []
    for start in range(0, len(features), CHUNK):
        x = features[torch.arange(start, min(start + CHUNK, len(features)))].to(device, network.mean.dtype)
        parts.append(network.read_by_output(x[None])[0])
    return torch.cat(parts)
