"""Teachers and students: what all defenses by distillation share.

The teachers train first, all in one stack; then the students, one per model and again in one stack, learn from what the
teachers answer and never see a label. The students are the models that are given out.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mia_lib.defenses.base import Defense
from mia_lib.training.job import Job
from mia_lib.training.lesson import Lesson, teacher_seeds


class TeacherStudent(Defense):
    """One teacher per model, and a student that learns its answers on the same fragments.

    What is special about a defense goes into `objective` (what the teachers minimise), `teachers`, `students`, `heard` and
    `temperatures`.
    """

    trains = True

    def temperatures(self, job: Job) -> Tensor:
        """At which teachers answer and students learn, [models]."""
        return torch.ones(len(job.train), dtype=job.dtype, device=job.device)

    def teachers(self, job: Job) -> Job:
        """What the teachers train on: one or more for each model, those of the first model first."""
        return replace(job, seeds=teacher_seeds(job.seeds), test=None, label=f"{job.label}: teachers")

    def students(self, job: Job) -> Job:
        """What the students train on."""
        return job

    def heard(self, job: Job, teachers: Job) -> np.ndarray:
        """Whose answers count: bool [models, teachers of each, N]."""
        return np.ones((len(job.train), len(teachers.train) // len(job.train), len(job.features)), bool)

    def lesson(self, job: Job) -> Lesson:
        teachers = self.teachers(job)
        objective, heard = self.objective(teachers), self.heard(job, teachers)
        return Lesson(teachers, objective, self.students(job), heard, self.temperatures(job))


class Softened(TeacherStudent):
    """Teachers whose answers are softened by a temperature, the strength: one number, or one for each model."""

    bounds = (0.01, math.inf)

    def temperatures(self, job: Job) -> Tensor:
        return super().temperatures(job) * self.strength_of(job)
