"""How many models can train at once: what one needs, what there is, and a stack cut into parts that fit.

While it trains, one model needs (6 P + 2 A + 2 X) numbers: P its parameters (themselves, slopes, two moments, Adam's step,
and the weights kept aside when it is finished), A what one step keeps for the way back, measured on a single model, twice
because slopes of the same size come and go, and X a batch of features, gathered and normalised. Everything else (features
of all fragments, labels, schedules) is shared or small. `Recipe.memory` says by how much a defense needs more.
"""

from dataclasses import replace
from math import ceil, floor

import numpy as np
import torch

from mia_lib.models import MODELS
from mia_lib.support.device import free_memory
from mia_lib.training.job import Job
from mia_lib.training.recipe import Recipe, train_defended
from mia_lib.training.trained import TrainedModels, concatenated

SHARE = 0.7  # of the free memory that a stack may take


def footprint(job: Job) -> tuple[int, int, int]:
    """Bytes of one model's parameters, of what a training step keeps for the way back, and of a batch of features."""
    frames, bins = job.features.shape[1:]
    classes = int(max(row.max() for row in job.labels)) + 1
    network = MODELS.get(job.config.model)(frames, bins, [classes], job.config.norm).to(job.dtype).train()
    network.initialise([0])
    parameters = {p.data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = torch.randn(1, job.config.batch_size, frames, bins, dtype=job.dtype)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = network(x).logsumexp(-1).sum()  # holds what it has noted: no address is used twice
    del loss
    return sum(p.nbytes for p in network.parameters()), sum(kept.values()), x.nbytes


def bytes_per_model(job: Job) -> int:
    """What each model of a job needs while it trains, in bytes."""
    parameters, kept, batch = footprint(job)
    return 6 * parameters + 2 * kept + 2 * batch


def train_in_parts(recipe: Recipe, job: Job) -> TrainedModels:
    """`train_defended`, in as few parts as there is memory for; each part's progress says which it is."""
    each = bytes_per_model(job) * recipe.memory
    most = max(1, floor(SHARE * free_memory(torch.device(job.device)) / each))
    count = ceil(len(job.train) / most)
    if count == 1:
        return train_defended(recipe, job)
    trained = []
    for i, rows in enumerate(np.array_split(np.arange(len(job.train)), count), 1):
        label = f"{job.label}, part {i} of {count} ({each / 1e6:.0f} MB for each model), "
        checkpoint = job.checkpoint and job.checkpoint.with_stem(f"{job.checkpoint.stem}-{i}")
        part = replace(job.pick(rows.tolist()), label=label, checkpoint=checkpoint)
        trained.append(train_defended(recipe.part(rows.tolist()), part))
    return concatenated(trained)
