"""How long a run will take here, told before it starts.

The work of training is counted, not guessed: fragments that all models of a stack pass through training, times the cost of
their defense (`Defense.cost`); what is in the cache already costs nothing. Its pace is measured, on a small stack for about a
second. All else that a notebook does (starting, attacks, intervals, figures) is the `seconds` in its metadata, as measured on
a machine of known pace in profile `standard`: all but START of it in proportion to the number of fragments.
"""

import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch

from mia_lib.defenses.base import make_defense
from mia_lib.series.notebooks import Notebook
from mia_lib.studies.defended import Judgement
from mia_lib.studies.pool import Stack
from mia_lib.studies.reference import References
from mia_lib.studies.selection import members
from mia_lib.studies.shadow import Experiment
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective
from mia_lib.training.train import train_job

KNOWN_PACE, KNOWN_FRAGMENTS = 5.5e-5, 2575  # seconds per fragment and pass; fragments, where `seconds` were measured
START = 4.3  # seconds that a notebook takes to do nothing, there
MODELS, SHORT, LONG, TIMES = 16, 4, 12, 3  # models, and steps of two runs whose difference is the pace; so many times
CHOSEN = 2  # defenses of a family that are judged


def pace(experiment: Experiment) -> float:
    """Seconds per fragment that passes through training in a small stack, on the experiment's features and device."""
    s, shape = experiment.settings, experiment.features.shape[1:]
    classes, size = min(50, max(len(split.speakers) for split in experiment.splits)), s.batch_size
    features = torch.randn(4 * size, *shape)
    labels = np.tile(np.arange(len(features)) % classes, (MODELS, 1))

    def spent(steps: int) -> float:
        own = [np.arange(len(features))] * MODELS
        config = TrainingConfig(s.model, steps // 4, size)
        started = time.perf_counter()
        train_job(Job(features, labels, own, config, list(range(MODELS)), device=experiment.device), Objective())
        return time.perf_counter() - started

    spent(SHORT)  # warms up
    difference = statistics.median(spent(LONG) - spent(SHORT) for _ in range(TIMES))
    return max(1e-9, difference / (MODELS * size * (LONG - SHORT)))


def passes(stack: Stack) -> float:
    """Fragments that all models of a stack pass through training, in undefended equivalents; 0 if they are in the cache."""
    if stack.experiment.cache.has("models", *stack.training_key):
        return 0.0
    return stack.passes * stack.defense.cost


def stacks(experiment: Experiment, work: str) -> Iterator[Stack]:
    """The stacks that a word in a notebook's metadata stands for: `targets`, `references`, or a family of defenses."""
    if work == "targets":
        yield experiment.stack
    elif work == "references":
        yield References(experiment).stack
    else:
        names = ["none", *members(work)]
        judged = [Judgement(experiment, name) for name in names]
        yield judged[0].references.stack
        training = [j for j in judged if make_defense(j.defense).trains]
        validation = experiment.validation()
        _ = validation.groups  # drawn once, for all defenses
        for judgement in judged[:1] + training:
            yield validation.defended(judgement.defense).stack
        by_cost = sorted(training, key=lambda judgement: judgement.experiment.stack.defense.cost)
        for judgement in by_cost[len(training) // 2 :][:CHOSEN]:  # which ones, nobody knows yet: of middling cost
            if work != "privacy":  # what it promises is tested on reference models only
                yield judgement.experiment.stack
            yield judgement.references.stack


def seconds(experiment: Experiment, notebooks: list[Notebook]) -> float:
    """What the notebooks will take from now on, in seconds."""
    total, known, each = 0.0, set(), pace(experiment)
    for notebook in notebooks:
        for stack in (s for work in notebook.work for s in stacks(experiment, work)):
            key = str(stack.training_key)
            if key not in known:
                known.add(key)
                total += each * passes(stack)
        size = len(experiment.manifest) / KNOWN_FRAGMENTS
        total += each / KNOWN_PACE * (START + (notebook.seconds - START) * size)
    return total
