"""What every unlearning method looks like: it says how trained models are changed so that they forget a person.

A method gets the job that the given models were trained by, in which `train` holds the fragments of those who stay,
`leaving` those of who leaves, and `start` the weights of the given models. It describes another training; K models that
forget, each somebody else, are one stack. Like a defense it has a name and one number that says how strong it is.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mia_lib.defenses.base import Defense
from mia_lib.support.errors import UsageError
from mia_lib.support.registry import Registry
from mia_lib.training.job import Job

METHODS = Registry("unlearning method", "mia_lib.unlearning")


class Method(Defense):
    """How models forget. `strengths`, `default`, `bounds`, `changed` and `objective` are as a defense has them."""

    exact = False
    """Whether what is left is, by construction, what training without the person leaves: models are then trained anew."""

    @property
    def pieces(self) -> int:
        """Networks that answer together as one model."""
        return 1

    def expanded(self, job: Job) -> Job:
        """The job of all pieces, those of the first model first."""
        return job

    def combined(self, logits: np.ndarray) -> np.ndarray:
        """What models answer [models, n, classes] whose pieces answer `logits` [models * pieces, n, classes]."""
        return logits

    def short(self, job: Job, epochs: float | Sequence[float], rate: float) -> Job:
        """The job with so many passes, for all models or each, at a constant learning rate of `rate` times the job's own."""
        counts = np.broadcast_to(np.asarray(epochs, dtype=int), len(job.train)).tolist()
        config = replace(job.config, epochs=tuple(counts), learning_rate=rate * job.config.learning_rate)
        return replace(job, config=replace(config, schedule="constant", patience=0), validation=None, test=None)


def make_method(name: str) -> Method:
    """The method that a name such as `scrub` or `fine_tune:2` describes.

    Raises UsageError for unknown names and strengths that are not numbers within the method's bounds.
    """
    kind, colon, strength = name.strip().partition(":")
    method = METHODS.get(kind)
    try:
        return method(float(strength) if colon else None)
    except ValueError:
        raise UsageError(f"the strength of method {kind!r} must be a number, not {strength!r}") from None
    except UsageError as error:
        raise UsageError(f"method {kind!r}: {error}") from None
