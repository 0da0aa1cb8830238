"""How long a run will take here, told before it starts.

The work of training is counted, not guessed: fragments that all models of a pool pass through training, times the cost of
their defense (`Defense.cost`); what is in the cache already costs nothing. Its pace is measured, on a small stack for about a
second. All else that a notebook does (starting, attacks, intervals, figures) is the `seconds` in its metadata, as measured on
a machine of known pace in profile `standard`: all but START of it in proportion to the number of fragments.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch

from mia_lib.defenses.base import make_defense
from mia_lib.studies.defended import DefenseEvaluation
from mia_lib.studies.pool import ModelPool
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.selection import candidates
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective
from mia_lib.training.train import train_job

KNOWN_PACE, KNOWN_FRAGMENTS = 5.5e-5, 2575  # seconds per fragment and pass; fragments, where `seconds` were measured
START = 4.3  # seconds that a notebook takes to do nothing, there
MODELS, SHORT, LONG, TIMES = 16, 4, 12, 3  # models, and steps of two runs whose difference is the pace; so many times
CHOSEN = 3  # defenses of a family that are judged


class Costly(Protocol):
    """What a notebook says of its cost: what it trains, and the seconds that all else takes."""

    @property
    def work(self) -> tuple[str, ...]: ...

    @property
    def seconds(self) -> float: ...


def pace(study: ShadowStudy) -> float:
    """Seconds per fragment that passes through training in a small stack, on the study's features and device."""
    s, shape = study.settings, study.features.shape[1:]
    classes, size = min(50, max(len(split.speakers) for split in study.splits)), s.batch_size
    features = torch.randn(4 * size, *shape)
    labels = np.tile(np.arange(len(features)) % classes, (MODELS, 1))

    def spent(steps: int) -> float:
        own = [np.arange(len(features))] * MODELS
        config = TrainingConfig(s.model, steps // 4, size)
        started = time.perf_counter()
        train_job(Job(features, labels, own, config, list(range(MODELS)), device=study.device), Objective())
        return time.perf_counter() - started

    spent(SHORT)  # warms up
    difference = statistics.median(spent(LONG) - spent(SHORT) for _ in range(TIMES))
    return max(1e-9, difference / (MODELS * size * (LONG - SHORT)))


def passes(pool: ModelPool, known: set[str] | None = None) -> float:
    """Fragments that the models of a pool pass through training that are not kept yet, in undefended equivalents.

    known: keys of models that were counted before, which cost nothing again; those counted here are added.
    """
    return pool.passes(pool.not_among(set() if known is None else known)) * pool.defense.cost


def pools(study: ShadowStudy, work: str) -> Iterator[ModelPool]:
    """The pools that a word in a notebook's metadata stands for: `targets`, `references`, or a family of defenses."""
    if work == "targets":
        yield study.pool
    elif work == "references":
        yield ReferenceStudy(study).pool
    else:
        evaluated = [DefenseEvaluation(study, name) for name in ("none", *candidates(work))]
        yield evaluated[0].references.pool
        training = [e for e in evaluated if make_defense(e.defense).trains]
        validation = study.validation()
        for evaluation in evaluated[:1] + training:
            screened = DefenseEvaluation(validation, evaluation.defense)
            yield from (screened.study.pool, screened.few.pool)
        by_cost = sorted(training, key=lambda evaluation: evaluation.study.pool.defense.cost)
        for evaluation in by_cost[len(training) // 2 :][:CHOSEN]:  # which ones, nobody knows yet: of middling cost
            if work != "privacy":  # what it promises is tested on reference models only
                yield evaluation.study.pool
            yield evaluation.references.pool


def seconds(study: ShadowStudy, notebooks: Sequence[Costly]) -> float:
    """What the notebooks will take from now on, in seconds."""
    total, each = 0.0, pace(study)
    known: set[str] = set()
    for notebook in notebooks:
        total += each * sum(passes(pool, known) for work in notebook.work for pool in pools(study, work))
        size = len(study.manifest) / KNOWN_FRAGMENTS
        total += each / KNOWN_PACE * (START + (notebook.seconds - START) * size)
    return total
