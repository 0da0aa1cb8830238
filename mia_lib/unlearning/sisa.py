"""SISA (Bourtoule et al., IEEE S&P 2021): shards with a model each; only the shard of who leaves is trained again.

"Sharded, isolated, sliced, aggregated": people are dealt to shards, and the answers of the shards' models are averaged.
Slices, which save a shard's training from its beginning, are left out: they change the time, not what is left of anybody.
The paper aggregates by majority vote of labels, and by mean posteriors where labels say too little, which is done here.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mia_lib.signals.statistics import log_posteriors
from mia_lib.support import draws
from mia_lib.training.job import Job
from mia_lib.unlearning.base import METHODS, Method


def shards_of(classes: int, shards: int, seed: int) -> np.ndarray:
    """The shard of each class, int64 [classes]: as many people in each as in any other, give or take one."""
    return draws.generator(seed, "shards").permutation(classes) % shards


@METHODS.register("sisa")
class Sisa(Method):
    """`strength` models on a share of the people each, whose answers are averaged; one is trained again."""

    strengths = (2,)  # it forgets with any, and each further shard costs accuracy
    default = 2
    bounds = (1, float("inf"))
    whole = True
    exact = True

    @property
    def pieces(self) -> int:
        return int(self.one_strength())

    def changed(self, job: Job) -> Job:
        return replace(job, start=None, leaving=None)

    def expanded(self, job: Job) -> Job:
        """A model for each shard, on the fragments of `job.train` whose class is dealt to it; seeds follow from the model's.

        A shard that lacks nobody gets the same fragments, seed and epochs as before, and need not be trained again.
        """
        shards = [
            shards_of(int(labels.max()) + 1, self.pieces, int(seed))[labels]
            for labels, seed in zip(job.labels, job.seeds, strict=True)
        ]

        def dealt(fragments: Sequence[np.ndarray]) -> list[np.ndarray]:
            own = zip(shards, fragments, strict=True)
            return [rows[shard[rows] == s] for shard, rows in own for s in range(self.pieces)]

        validation = None if job.validation is None else dealt(job.validation)
        seeds = [own for seed in job.seeds for own in draws.seeds(int(seed), "models of shards", self.pieces)]
        epochs = tuple(np.repeat(job.config.epochs_of(len(job.train)), self.pieces).tolist())
        labels, config = np.repeat(job.labels, self.pieces, axis=0), replace(job.config, epochs=epochs)
        job = replace(self.changed(job), labels=labels, train=dealt(job.train), validation=validation)
        return replace(job, test=None, reference=None, seeds=seeds, config=config)

    def combined(self, logits: np.ndarray) -> np.ndarray:
        return mean_answers(logits.reshape(-1, self.pieces, *logits.shape[1:]))


def mean_answers(logits: np.ndarray | Sequence) -> np.ndarray:
    """Logarithm of the mean posteriors over the pieces of each model, float32 [models, n, classes], from their logits
    [models, pieces, n, classes]; exact however small the posteriors are."""
    log_p = log_posteriors(np.asarray(logits))
    return (np.logaddexp.reduce(log_p, axis=1) - np.log(log_p.shape[1])).astype(np.float32)
