"""Teachers and students, described: what a stack learns from the answers of models that train before it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from mia_lib.support import draws
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective


@dataclass(frozen=True)
class Lesson:
    """Who teaches, who learns, and from whose answers."""

    teachers: Job  # one or more for each model, those of the first model first
    objective: Objective  # what the teachers minimise
    students: Job  # one for each model
    heard: np.ndarray  # bool [models, teachers of each, N]: whose answers to a fragment count
    temperatures: Tensor  # [models]: at which teachers answer and students learn


def teacher_seeds(seeds: Sequence[int], teachers: int = 1) -> list[int]:
    """A seed for each teacher, following from its model's alone: those of the first model first."""
    return [own for seed in seeds for own in draws.seeds(seed, "teachers of a student", teachers)]


def as_many_steps(job: Job, train: Sequence[np.ndarray], times: int = 1) -> TrainingConfig:
    """The job's configuration with as many epochs as let each model do at least `times` its steps on other fragments.

    train: of each model, or of several in place of each, those of the first model first.
    """
    epochs = np.broadcast_to(job.config.epochs, len(job.train))
    steps = times * np.repeat(epochs * [len(own) for own in job.train], len(train) // len(job.train))
    return replace(
        job.config, epochs=tuple(int(-(-n // max(len(own), 1))) for n, own in zip(steps, train, strict=True))
    )
