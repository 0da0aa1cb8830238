"""SELENA (Tang et al., USENIX Security 2022): a student of sub-models that each know only some of the members."""

import math
from dataclasses import replace

import numpy as np

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.teacher_student import TeacherStudent
from mia_lib.support.draws import generator
from mia_lib.support.errors import UsageError
from mia_lib.training.job import Job
from mia_lib.training.lesson import as_many_steps, teacher_seeds

FEWEST, DRAWS = 2, 200  # fragments that a sub-model needs; tries to give them to each
SHARE = 0.4  # of the sub-models never train on a given fragment: 10 of 25 in the paper


def left_out(groups: np.ndarray, classes: np.ndarray, submodels: int, out: int, seed: int) -> np.ndarray:
    """Which sub-models do not train on each fragment, bool [n, submodels]: exactly `out`, the same for a whole group.

    groups, classes: int64 [n], the source and the speaker of each fragment. The paper draws the `out` sub-models freely;
    here the sources of one speaker take turns through the sub-models in random order, so that each sub-model lacks equally
    many of them, to within one, and knows every speaker of whom there are at least two. Where speakers have one each, all is
    drawn again until every sub-model has FEWEST fragments.
    """
    rng = generator(seed, "teachers of each fragment")
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    for _ in range(DRAWS):
        plan = np.zeros((len(first), submodels), bool)
        for speaker in np.unique(classes):
            mine = rng.permutation(np.flatnonzero(classes[first] == speaker))
            turns = np.arange(len(mine) * out).reshape(-1, out) % submodels
            plan[mine[:, None], rng.permutation(submodels)[turns]] = True
        if (~plan[group]).sum(0).min() >= FEWEST:
            break
    return plan[group]


@DEFENSES.register("selena")
class Selena(TeacherStudent):
    """A student learns answers of sub-models that did not train on what they answer (SELENA, 2022); number: sub-models.

    Of L sub-models, 0.4 L never train on a given source recording; the mean of their posteriors on its fragments, at
    temperature 1, is what the student learns. All sub-models of all models train in one stack, each for as many steps as
    an undefended model. The authors keep the student of the epoch that does best on test data; here it is the last one.
    Cost: L + 1 trainings of each model, and the memory of L.
    """

    family = "distillation"
    strengths = (4.0, 6.0)
    default = 6.0
    bounds = (2, math.inf)
    whole = True
    mixes_strengths = False

    def __init__(self, strength: float | None = None):
        super().__init__(strength)
        if self.varies:
            raise UsageError("selena takes one number of sub-models for all models of a stack")
        self.submodels = self.memory = int(self.one_strength())
        self.cost = self.submodels + 1
        self.out = max(1, round(SHARE * self.submodels))

    def teachers(self, job: Job) -> Job:
        count = self.submodels
        train = [own[~left] for own, plan in zip(job.train, self._plans(job), strict=True) for left in plan.T]
        return replace(
            job,
            labels=np.repeat(job.labels, count, axis=0),
            train=train,
            config=as_many_steps(job, train),
            seeds=teacher_seeds(job.seeds, count),
            test=None,
            validation=None if job.validation is None else [own for own in job.validation for _ in range(count)],
            reference=None,
            label=f"{job.label}: sub-models",
        )

    def heard(self, job: Job, teachers: Job) -> np.ndarray:
        trained = np.zeros((len(teachers.train), len(job.features)), bool)
        for row, own in zip(trained, teachers.train, strict=True):
            row[own] = True
        return ~trained.reshape(len(job.train), self.submodels, -1)

    def _plans(self, job: Job) -> list[np.ndarray]:
        """`left_out` for the training fragments of each model."""
        groups = np.arange(len(job.features)) if job.groups is None else job.groups
        return [
            left_out(groups[own], labels[own], self.submodels, self.out, int(seed))
            for own, labels, seed in zip(job.train, job.labels, job.seeds, strict=True)
        ]
