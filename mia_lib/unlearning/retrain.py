"""Retraining without the person: what every other method is measured against."""

from dataclasses import replace

from mia_lib.training.job import Job
from mia_lib.unlearning.base import METHODS, Method


@METHODS.register("retrain")
class Retrain(Method):
    """Train again from scratch, by the same recipe, on those who stay: nothing of the person is left to find."""

    exact = True

    def changed(self, job: Job) -> Job:
        return replace(job, start=None, leaving=None)
