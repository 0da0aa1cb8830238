"""How a stack is trained that does not just minimise its cross-entropy: described by a recipe, carried out here."""

from collections.abc import Sequence
from typing import Protocol

from mia_lib.training.job import Job
from mia_lib.training.lesson import Lesson
from mia_lib.training.objective import Objective
from mia_lib.training.teaching import teach
from mia_lib.training.train import train_job
from mia_lib.training.trained import TrainedModels


class Recipe(Protocol):
    """What training asks of a defense."""

    memory: float
    """Memory that training takes, in times of an undefended model's."""

    def part(self, models: Sequence[int]) -> "Recipe":
        """The recipe of some of the models of a job."""

    def changed(self, job: Job) -> Job:
        """What the models train on and how, given what undefended models would."""

    def objective(self, job: Job) -> Objective:
        """What training on the changed job minimises."""

    def lesson(self, job: Job) -> Lesson | None:
        """What replaces the changed job where the models are students of teachers."""

    def finished(self, models: TrainedModels) -> TrainedModels:
        """What becomes of the models once they are trained."""


def train_defended(recipe: Recipe, job: Job) -> TrainedModels:
    """Train the stack of a job as a recipe says, one model per entry of `job.train`."""
    job = recipe.changed(job)
    lesson = recipe.lesson(job)
    return recipe.finished(train_job(job, recipe.objective(job)) if lesson is None else teach(lesson))
