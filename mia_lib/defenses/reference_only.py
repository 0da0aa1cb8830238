"""No defense, but what every one that is given extra recordings must beat: the private recordings are left out."""

from dataclasses import replace

from mia_lib.defenses.base import DEFENSES, Defense
from mia_lib.training.job import Job, required
from mia_lib.training.lesson import as_many_steps


@DEFENSES.register("reference_only")
class ReferenceOnly(Defense):
    """Baseline, no defense: trained on the reference recordings alone with their labels; what is private is not used.

    It leaks nothing of the private recordings by construction. A defense with reference recordings that is no more accurate
    has won nothing from the private ones.
    """

    trains = True
    needs_reference = True

    def changed(self, job: Job) -> Job:
        reference = required(job.reference, "defense 'reference_only' needs reference fragments to train on")
        return replace(job, train=reference, config=as_many_steps(job, reference))
