"""A stack cut into parts: one on each core, and no more at once than there is memory for.

While it trains, one model needs (6 P + 2 A + 2 X) numbers: P its parameters (themselves, slopes, two moments, Adam's step
where rates differ, and the weights kept aside when it is finished), A what one step keeps for the way back, measured on a
single model, twice because slopes of the same size come and go, and X a batch of features, gathered and normalised.
Everything else (features of all fragments, labels, schedules) is shared or small. `Recipe.memory` says by how much a defense
needs more.
"""

from dataclasses import replace
from math import ceil, floor, log2

import numpy as np
import torch

from mia_lib.models import MODELS
from mia_lib.support.device import free_memory
from mia_lib.support.executor import Here, each
from mia_lib.support.executors import chosen
from mia_lib.training.job import Job, own_steps
from mia_lib.training.recipe import Recipe, train_defended
from mia_lib.training.trained import TrainedModels, concatenated

SHARE = 0.7  # of the free memory that a stack may take
ALIKE = 0.75  # of the steps of a part's longest model that each of its models takes at least
PART = 8  # models on one core at most: fewer cost more for each operation's start, more leave cores of a machine idle


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

    x = torch.randn(1, job.config.batch_size or max(map(len, job.train)), frames, bins, dtype=job.dtype)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = network(x).logsumexp(-1).sum()  # holds what it has noted: no address is used twice
    del loss
    return sum(p.nbytes for p in network.parameters()), sum(kept.values()), x.nbytes


def bytes_per_model(job: Job) -> int:
    """What each model of a job needs while it trains, in bytes."""
    parameters, kept, batch = footprint(job)
    return 6 * parameters + 2 * kept + 2 * batch


def cut(models: int, largest: int, cores: bool = True) -> list[list[int]]:
    """Parts of at most `largest` models each, as few as that takes; for cores a power of two, so that on most machines none
    waits for another.

    How a stack is cut does not depend on how many cores there are, so neither do the bits of its models.
    """
    count = ceil(models / largest)
    count = min(models, 2 ** ceil(log2(count))) if cores else count
    return [rows.tolist() for rows in np.array_split(np.arange(models), count)]


def alike(steps: np.ndarray) -> list[list[int]]:
    """Models, by their numbers, in groups that take about as many steps [models], the longest first: all models of a part
    work until its last one is done."""
    groups: list[list[int]] = []
    for k in np.argsort(-steps, kind="stable").tolist():
        if groups and steps[k] >= ALIKE * steps[groups[-1][0]]:
            groups[-1].append(k)
        else:
            groups.append([k])
    return groups


def train_in_parts(recipe: Recipe, job: Job, workers: int | None = None) -> TrainedModels:
    """`train_defended`, in parts: on a CPU one for each core, else as few as there is memory for, one after the other.

    workers: cores of this process; None: the parts go to the executor that the environment names, which is as many threads
    of this process as it may use cores unless something else was asked for. The same bits come of any.
    """
    size, device = bytes_per_model(job) * recipe.memory, torch.device(job.device)
    fit, cores = max(1, floor(SHARE * free_memory(device) / size)), device.type == "cpu"
    largest, parts = min(fit, PART) if cores else fit, list[list[int]]()
    for group in alike(own_steps(job.config, job.train)):
        parts += [[group[i] for i in rows] for rows in cut(len(group), largest, cores)]
    if fit < min(PART, len(job.train)):
        job = replace(job, label=f"{job.label} in {len(parts)} parts ({size / 1e6:.0f} MB for each model)")

    tasks = []
    for number, rows in enumerate(parts):
        checkpoint = job.checkpoint and job.checkpoint.with_stem(f"{job.checkpoint.stem}-{number}")
        tasks.append((recipe.part(rows), replace(job.pick(rows), checkpoint=checkpoint)))
    at_once = max(1, fit // max(map(len, parts))) if cores else 1
    executor = chosen() if cores and workers is None else Here(workers)
    trained = concatenated(each(executor, train_part, tasks, at_once))
    place = np.argsort(np.concatenate(parts)).tolist()
    return trained if place == sorted(place) else trained.pick(place)


def train_part(task: tuple[Recipe, Job]) -> TrainedModels:
    """Train one part of a stack; on another machine, where the folder of checkpoints is not there, without any."""
    recipe, job = task
    if job.checkpoint is not None and not job.checkpoint.parent.exists():
        job = replace(job, checkpoint=None)
    return train_defended(recipe, job)
