"""Distillation for membership privacy (Shejwalkar and Houmansadr, AAAI 2021): the student never sees a member."""

from dataclasses import replace

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.teacher_student import Softened
from mia_lib.training.job import Job, required
from mia_lib.training.lesson import as_many_steps


@DEFENSES.register("dmp")
class DMP(Softened):
    """A student learns its teacher's answers to other recordings, not the members (DMP, 2021); number: temperature.

    The teacher trains as an undefended model would. Its softened posteriors are all that the student sees of the
    reference fragments, which count as unlabelled data; it passes over them until it has done as many steps as the
    teacher (twice as many where another defense alters what it hears: there is more to learn), and features are normalised
    by their statistics. The paper draws the reference fragments from a large pool,
    preferring those on which the teacher is certain; here they are few, and all are used. A speaker without reference
    fragments is known to the student from other people's answers only. Cost: two trainings of each model.
    """

    family = "distillation"
    strengths = (1.0, 2.0, 5.0)
    default = 2.0
    cost = 2.0
    needs_reference = True

    def students(self, job: Job) -> Job:
        reference = required(
            job.reference,
            "defense 'dmp' needs reference fragments: recordings of the model's own speakers that it neither trains on "
            "nor is audited on, which takes speakers with at least two held-out recordings",
        )
        times = 2 if job.alterations else 1
        return replace(job, train=reference, config=as_many_steps(job, reference, times))
