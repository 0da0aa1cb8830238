"""Bad teaching (Chundawat, Tarun, Mandal and Kankanhalli, AAAI 2023): who leaves is learnt from a teacher that knows nothing.

The student begins as the model. On those who stay it keeps to the model's own answers, on who leaves to those of a network
with random weights: the mean of KL(teacher ‖ student) over all examples, at temperature 1, as in the authors' code.
"""

import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.support import draws
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective
from mia_lib.unlearning.base import METHODS, Method
from mia_lib.unlearning.sides import BothSides, divergence, frozen_copy

RATE = 0.5  # times the learning rate of the training


class TwoTeachers(BothSides):
    """Mean divergence from the teacher that an example's side has."""

    def begin(self, job: Job, network: StackedNetwork) -> None:
        super().begin(job, network)
        self.good, self.bad = frozen_copy(network), frozen_copy(network)
        self.bad.initialise([draws.seeds(seed, "a teacher that knows nothing", 1)[0] for seed in job.seeds])

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        size = labels.shape[1]
        inputs, _ = self.with_leavers(features, labels, batch)
        logits = network(inputs)
        taught = torch.cat([self.good(inputs[:, :size]), self.bad(inputs[:, size:])], 1)
        return divergence(taught, logits).mean(1), logits[:, :size]


@METHODS.register("bad_teacher")
class BadTeacher(Method):
    """Learn from the model itself on those who stay, from an untrained one on the person, for `strength` epochs."""

    strengths = (1, 2)
    default = 1
    bounds = (1, float("inf"))
    whole = True
    memory = 1.5

    def changed(self, job: Job) -> Job:
        return self.short(job, self.strength_of(job).tolist(), RATE)

    def objective(self, job: Job) -> Objective:
        return TwoTeachers()
