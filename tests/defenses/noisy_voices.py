"""Toy speakers: a faint voice under much noise, so that models recognise new fragments and learn members by heart."""

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from mia_lib.signals.query import query_models
from mia_lib.signals.statistics import statistics
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.trained import TrainedModels


def toy(classes=(4, 6, 5), n=48, voice=0.5, dtype=torch.float64, **config) -> Job:
    """A job of one model per number of classes, each on speakers of its own: n members, n for reference, 2n for testing."""
    features, labels, parts = [], np.full((len(classes), 4 * n * len(classes)), -1), []
    for k, c in enumerate(classes):
        rng, own, start = np.random.default_rng([k, c]), np.arange(4 * n) % c, 4 * n * k
        voices = rng.standard_normal((c, 1, 8)) * voice
        features.append(rng.standard_normal((4 * n, 64, 8)) * 2 + voices[own] + 3)
        labels[k, start : start + 4 * n] = own
        parts.append(np.split(start + rng.permutation(4 * n), [n, 2 * n]))
    train, reference, test = zip(*parts, strict=True)
    config = TrainingConfig(**dict(epochs=3, batch_size=8) | config)
    seeds = [20 + k for k in range(len(classes))]
    features = torch.from_numpy(np.concatenate(features)).to(dtype)
    return Job(features, labels, train, config, seeds, test=test, reference=reference, dtype=dtype)


def alone(job: Job, k: int) -> Job:
    """The job of model k by itself."""
    return job.pick([k])


def largest_difference(stack: TrainedModels, k: int, single: TrainedModels) -> float:
    """Between the weights of model k of a stack and those of a stack of one, over the classes that it has."""
    together = stack.network.state_dict()
    return max(
        float((together[name][k : k + 1][..., : value.shape[-1]] - value).abs().max())
        for name, value in single.network.state_dict().items()
    )


def leak_and_accuracy(job: Job, models: TrainedModels) -> tuple[np.ndarray, np.ndarray]:
    """Of each model, the AUC with which its loss tells members from test fragments, and its accuracy on the latter."""
    logits = query_models(models.network, job.features)
    s = statistics(logits, job.labels)
    aucs, accuracies = [], []
    for k, (train, test) in enumerate(zip(job.train, job.test, strict=True)):
        rows = np.concatenate([train, test])
        aucs.append(roc_auc_score(np.arange(len(rows)) < len(train), -s.loss[k, rows]))
        accuracies.append(s.correct[k, test].mean())
    return np.array(aucs), np.array(accuracies)
