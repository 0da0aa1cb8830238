"""Teachers and students: what all defenses by distillation share.

The teachers train first, all in one stack; then the students, one per model and again in one stack, learn from what the
teachers answer and never see a label. The students are the models that are given out.
"""

import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mia_lib.defenses.base import Defense
from mia_lib.support.cache import Cache
from mia_lib.support.digests import digest
from mia_lib.training.job import Job
from mia_lib.training.teaching import SoftLabels, ask, teacher_seeds
from mia_lib.training.train import train_job
from mia_lib.training.trained import TrainedModels


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
        return replace(job, seeds=teacher_seeds(job.seeds), test=None, label=f"{job.label} teachers")

    def students(self, job: Job) -> Job:
        """What the students train on."""
        return job

    def heard(self, job: Job, teachers: Job) -> np.ndarray:
        """Whose answers count: bool [models, teachers of each, N]."""
        return np.ones((len(job.train), len(teachers.train) // len(job.train), len(job.features)), bool)

    def train(self, job: Job) -> TrainedModels:
        teachers, students, temperature = self.teachers(job), self.students(job), self.temperatures(job)
        taught = self._trained_once(teachers)
        heard = torch.from_numpy(self.heard(job, teachers)).to(job.device)
        answers = ask(taught.network, job.features, students.train, temperature, heard)
        models = train_job(students, SoftLabels(answers, students.train, temperature))
        return replace(models, seconds=round(taught.seconds + models.seconds, 3))

    def _trained_once(self, job: Job) -> TrainedModels:
        """The teachers; beside the students' checkpoint, if there is one, they are kept as a stage of their own."""
        objective = self.objective(job)
        if job.checkpoint is None:
            return train_job(job, objective)

        def build(folder: Path, scratch: Path) -> None:
            train_job(replace(job, checkpoint=scratch / job.checkpoint.name), objective).save(folder)

        params = dict(config=asdict(job.config), seeds=[int(s) for s in job.seeds], strength=self.strength)
        params |= dict(train=[digest(own.tolist()) for own in job.train], dtype=job.dtype)
        folder = Cache(job.checkpoint.parent).stage("teachers", params, build, [type(self)])
        return TrainedModels.load(folder, job.device)


class Softened(TeacherStudent):
    """Teachers whose answers are softened by a temperature, the strength: one number, or one for each model."""

    bounds = (0.01, math.inf)

    def temperatures(self, job: Job) -> Tensor:
        return super().temperatures(job) * self.strength_of(job)
