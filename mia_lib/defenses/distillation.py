"""Defensive distillation (Papernot et al., S&P 2016), as arXiv 1911.01888 used it against membership inference."""

from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.teacher_student import Softened
from mia_lib.models.network import StackedNetwork
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job
from mia_lib.training.objective import Objective, cross_entropy


class HotCrossEntropy(Objective):
    """Mean cross-entropy of softmax(logits / T) for each model."""

    def __init__(self, temperature: Tensor):
        self.temperature = temperature

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = network(features)
        return cross_entropy(logits / self.temperature[:, None, None], labels).mean(1), logits


@DEFENSES.register("distillation")
class Distillation(Softened):
    """A student learns its teacher's softened answers to the very same members (Papernot et al. 2016); number: temperature.

    Teacher and student both train at temperature T and the student answers at 1, so its logits are about T times as
    large. It was made against adversarial examples: the answers on members carry the teacher's membership over to the
    student. Where T is so large that posteriors round to 1, it blinds attacks that read the largest ones, and not those
    that read logits. The student minimises `distillation_loss`, which says how that differs from the paper's. Cost: two
    trainings of each model.
    """

    family = "distillation"
    of_paper = True
    strengths = (2.0, 5.0, 20.0, 50.0)
    default = 20.0
    cost = 2.0

    def objective(self, job: Job) -> Objective:
        return HotCrossEntropy(self.temperatures(job))
