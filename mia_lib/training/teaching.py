"""Teachers and students: answers of teachers that train first, and students that learn from these and see no label."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mia_lib.models.network import MODELS, StackedNetwork
from mia_lib.support.cache import Cache
from mia_lib.support.device import at_once
from mia_lib.support.digests import digest
from mia_lib.training.batch import Batch, in_rows
from mia_lib.training.job import Job
from mia_lib.training.lesson import Lesson
from mia_lib.training.objective import Objective
from mia_lib.training.train import train_job
from mia_lib.training.trained import TrainedModels

if TYPE_CHECKING:
    from mia_lib.features.resident import Waveforms


def distillation_loss(logits: Tensor, answers: Tensor, temperature: Tensor) -> Tensor:
    """T² · KL(answers ‖ softmax(logits / T)) of each example, in nats: [models, batch].

    logits: [models, batch, classes]. answers: posteriors of the same shape, softened by the same temperatures [models].
    This is Hinton et al. (2015) with all weight on the teacher; the factor T² keeps gradients comparable between
    temperatures. Papernot et al. (2016) leave it out, and the entropy of the answers, which moves no weight.
    """
    log_p = torch.log_softmax(logits / temperature[:, None, None], -1)
    log_p = log_p.masked_fill(answers == 0, 0.0)  # -inf where a model does not have the class
    divergence = -(answers * log_p + torch.special.entr(answers)).sum(-1)
    return temperature[:, None] ** 2 * divergence


def mean_posteriors(logits: Tensor, heard: Tensor, temperature: Tensor) -> Tensor:
    """Mean of the softened posteriors of the teachers that are heard, [models, n, classes].

    logits: [models, teachers, n, classes]. heard: bool [models, teachers, n], true somewhere for each fragment.
    temperature: [models].
    """
    posteriors = torch.softmax(logits / temperature[:, None, None, None], -1)
    share = heard.to(posteriors.dtype) / heard.sum(1, keepdim=True)
    return torch.einsum("ktn,ktnc->knc", share, posteriors)


@torch.no_grad()
def ask(
    network: StackedNetwork,
    features: "Tensor | Waveforms",
    fragments: Sequence[np.ndarray],
    temperature: Tensor,
    heard: Tensor,
) -> Tensor:
    """What the teachers of each model answer to the model's own fragments: [models, longest, classes].

    network: the teachers, those of the first model first. features: [N, frames, bins]. fragments: of each model; row i
    answers its i-th, and rows beyond its last mean nothing. temperature: [models]. heard: bool [models, teachers, N].
    """
    models, teachers, _ = heard.shape
    padded = in_rows(fragments)
    size = at_once(models * teachers * network.frames * network.bins, temperature.device)
    answers = []
    for indices in padded.to(temperature.device).split(size, dim=1):
        asked = features[indices.to(features.device)].to(temperature).repeat_interleave(teachers, 0)
        logits = network(asked).unflatten(0, (models, teachers))
        listened = heard.gather(2, indices[:, None].expand(-1, teachers, -1))
        answers.append(mean_posteriors(logits, listened, temperature))
    return torch.cat(answers, 1)


class SoftLabels(Objective):
    """Mean distillation loss of each model on given answers; the labels are not read."""

    def __init__(self, answers: Tensor, fragments: Sequence[np.ndarray], temperature: Tensor):
        self.answers, self.fragments, self.temperature = answers, fragments, temperature

    def begin(self, job: Job, network: StackedNetwork) -> None:
        place = np.zeros((len(self.fragments), len(job.features)), np.int64)  # row of the answers for each fragment
        for row, own in zip(place, self.fragments, strict=True):
            row[own] = np.arange(len(own))
        self.place = torch.from_numpy(place).to(self.answers.device)

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = network(features)
        rows = self.place.gather(1, batch.indices)
        answers = self.answers.gather(1, rows[..., None].expand_as(logits))
        return distillation_loss(logits, answers, self.temperature).mean(1), logits


def teach(lesson: Lesson) -> TrainedModels:
    """Train the teachers, then the students on their answers; the students are the models, the seconds those of both."""
    teachers, students = _trained_once(lesson), lesson.students
    heard = torch.from_numpy(lesson.heard).to(students.device)
    answers = ask(teachers.network, students.features, students.train, lesson.temperatures, heard)
    models = train_job(students, SoftLabels(answers, students.train, lesson.temperatures))
    return replace(models, seconds=round(teachers.seconds + models.seconds, 3))


def _trained_once(lesson: Lesson) -> TrainedModels:
    """The teachers; beside the students' checkpoint, if there is one, they are kept as a stage of their own."""
    job, checkpoint = lesson.teachers, lesson.teachers.checkpoint
    if checkpoint is None:
        return train_job(job, lesson.objective)

    def build(folder: Path, scratch: Path) -> None:
        train_job(replace(job, checkpoint=scratch / checkpoint.name), lesson.objective).save(folder)

    params: dict[str, Any] = dict(
        config=asdict(job.config), seeds=[int(s) for s in job.seeds], temperatures=lesson.temperatures.tolist()
    )
    params |= dict(train=[digest(own.tolist()) for own in job.train], dtype=job.dtype)
    uses = [MODELS.get(job.config.model), type(lesson.objective), *job.alterations]
    folder = Cache(checkpoint.parent).stage("teachers", params, build, uses)
    return TrainedModels.load(folder, job.device)
