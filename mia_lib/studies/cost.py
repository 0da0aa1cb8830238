"""How long a run will take here, told before it starts.

The work of training is counted, not guessed: fragments that all models of a pool pass through training, times the cost of
their defense (`Defense.cost`); what is in the cache already costs nothing. Its pace is measured, on a stack with a part for
each core, for about a second: in processor time, which a passing load does not change; how much longer it took by the clock
says how busy the machine is. All else that a notebook does (starting, attacks, intervals, figures) is the `seconds` in its
metadata, as measured on a machine of known pace in profile `standard`: all but START of it in proportion to the number of
fragments. That machine's pace was measured on one network, and so is this one's, whatever is trained. What embeddings of
altered copies cost is not foreseen.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from mia_lib.defenses.base import make_defense
from mia_lib.studies.defended import DefenseEvaluation
from mia_lib.studies.leaving import Leaving
from mia_lib.studies.pool import ModelPool
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.selection import candidates
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support import limits
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.parts import PART, cut, train_in_parts

KNOWN_PACE = 7.7e-5
"""Core-seconds per fragment and pass where `seconds` were measured: 1.2e-4 before passes over memory were compiled,
which took the pace of another machine from 2.07e-4 to 1.32e-4."""
KNOWN_NETWORK = "paper_mfcc", (94, 20)  # whose pace it was
KNOWN_FRAGMENTS = 2575  # there
START = 4.3  # seconds that a notebook takes to do nothing, there
SPREAD = 2048  # fragments
MOST_PARTS = 4  # of the stack whose pace is measured
SHORT, LONG, TIMES = 4, 12, 3  # steps of two runs whose difference is the pace; so many times
CHOSEN = 3  # defenses of a family that are judged


class Costly(Protocol):
    """What a notebook says of its cost: what it trains, and the seconds that all else takes."""

    @property
    def name(self) -> str: ...

    @property
    def work(self) -> tuple[str, ...]: ...

    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class Pace:
    """How fast a device trains."""

    seconds: float  # of one core (or device) per fragment that passes through training
    load: float  # how much longer it takes by the clock, since others use the machine; 1 on an idle one


@dataclass(frozen=True)
class Forecast:
    """What notebooks will take: seconds of each by name, on an idle machine and with its share of it where `lanes` are
    executed beside each other; and how much longer on the present machine."""

    seconds: dict[str, float]
    load: float
    lanes: int = 1

    def total(self) -> float:
        """Seconds that all take on an idle machine."""
        return self._wall(list(self.seconds.values()))

    def _wall(self, seconds: list[float]) -> float:
        return max(sum(seconds) / self.lanes, max(seconds, default=0.0))

    def left(self, spent: dict[str, float]) -> float | None:
        """Seconds that the other notebooks will take, if they are as much slower or faster than forecast as those that took
        the seconds `spent`; None where nothing is left or nothing was forecast."""
        known = spent.keys() & self.seconds.keys()
        rest = self._wall([seconds for name, seconds in self.seconds.items() if name not in spent])
        forecast = sum(self.seconds[name] for name in known)
        return rest * sum(spent[name] for name in known) / forecast if rest and forecast else None


def network_of(study: ShadowStudy) -> tuple[str, tuple[int, ...]]:
    """What the study trains: an architecture by name, on features of a shape."""
    return study.settings.model, tuple(study.features.shape[1:])


def pace(study: ShadowStudy, network: tuple[str, tuple[int, ...]] | None = None) -> Pace:
    """How fast the study's device trains a stack of a network (None: the study's own)."""
    (model, shape), size = network or network_of(study), study.settings.batch_size
    on_cores = study.device.type == "cpu"
    cores = min(limits.cores(), MOST_PARTS) if on_cores else 1
    classes, models = min(50, max(len(split.speakers) for split in study.splits)), cores * PART
    count = max(SPREAD, 4 * size)
    features = torch.randn(count, *shape)  # more than a core's cache holds, as in earnest
    labels = np.tile(np.arange(count) % classes, (models, 1))

    def spent(steps: int) -> np.ndarray:
        """By the processor, and by the clock."""
        own = [np.linspace(0, count - 1, 4 * size).astype(int)] * models
        config = TrainingConfig(model, steps // 4, size)
        job = Job(features, labels, own, config, list(range(models)), device=study.device, label="measure the pace")
        started = time.process_time(), time.perf_counter()
        train_in_parts(make_defense("none"), job, cores)
        return np.array([time.process_time() - started[0], time.perf_counter() - started[1]])

    spent(SHORT)  # warms up
    used, wall = np.median([spent(LONG) - spent(SHORT) for _ in range(TIMES)], axis=0).clip(1e-9)
    if not on_cores:
        used = wall
    return Pace(used / (models * size * (LONG - SHORT)), max(1.0, wall * cores / used))


def passes(pool: ModelPool, known: set[str] | None = None) -> float:
    """Fragments that the models of a pool pass through training that are not kept yet, in undefended equivalents.

    known: keys of models that were counted before, which cost nothing again; those counted here are added.
    """
    return pool.passes(pool.not_among(set() if known is None else known)) * pool.defense.cost


def pools(study: ShadowStudy, work: str) -> Iterator[ModelPool]:
    """The pools that a word in a notebook's metadata stands for: `targets`, `references`, `forgetting` (models that people
    leave), or a family of defenses."""
    if work == "targets":
        yield study.pool
    elif work == "references":
        yield ReferenceStudy(study).pool
    elif work == "forgetting":
        yield Leaving(study.dataset).pool
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


def forecast(study: ShadowStudy, notebooks: Sequence[Costly], lanes: int = 1) -> Forecast:
    """What the notebooks will take from now on, `lanes` of them beside each other."""
    own, size = pace(study), len(study.manifest) / KNOWN_FRAGMENTS
    usual = own if network_of(study) == KNOWN_NETWORK else pace(study, KNOWN_NETWORK)
    known: set[str] = set()
    seconds = {}
    for notebook in notebooks:
        trained = [pool for work in notebook.work for pool in pools(study, work)]
        models = sum(len(pool.missing()) for pool in trained)
        cores = (
            min(max(1, limits.cores() // lanes), len(cut(models, PART))) if models and study.device.type == "cpu" else 1
        )
        seconds[notebook.name] = own.seconds * sum(passes(pool, known) for pool in trained) / cores
        seconds[notebook.name] += usual.seconds / KNOWN_PACE * (START + (notebook.seconds - START) * size)
    return Forecast(seconds, own.load, lanes)
