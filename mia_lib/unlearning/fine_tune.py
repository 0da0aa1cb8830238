"""Fine-tuning on those who stay: the person is not mentioned again, and is hoped to fade (Golatkar et al., CVPR 2020)."""

from mia_lib.training.job import Job
from mia_lib.unlearning.base import METHODS, Method

RATE = 0.3  # times the learning rate of the training


@METHODS.register("fine_tune")
class FineTune(Method):
    """Train on for `strength` epochs, on those who stay only."""

    strengths = (1, 3)
    default = 1
    bounds = (1, float("inf"))
    whole = True

    def changed(self, job: Job) -> Job:
        return self.short(job, self.strength_of(job).tolist(), RATE)
