"""What a stack of models minimises: the hook through which defenses act on training."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork
from mia_lib.support.draws import generator
from mia_lib.training.batch import Batch

if TYPE_CHECKING:
    from mia_lib.training.job import Job


def batch_schedule(indices: np.ndarray, steps: int, batch_size: int, seed: int) -> np.ndarray:
    """Fragments of every step of one model, int32 [steps, batch]: shuffled passes, one after the other, cut evenly."""
    passes = -(-steps * batch_size // len(indices))
    stream = np.concatenate([generator(seed, "order of an epoch", e).permutation(indices) for e in range(passes)])
    return stream[: steps * batch_size].astype(np.int32).reshape(steps, batch_size)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each example in nats: [models, batch, classes], [models, batch] -> [models, batch]."""
    return -torch.log_softmax(logits, -1).gather(-1, labels[..., None]).squeeze(-1)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-sum_c t_c log p_c of each example in nats, with targets [models, batch, classes] -> [models, batch].

    Classes that a model does not have (logit -inf) do not count, whatever their target.
    """
    log_posteriors = torch.log_softmax(logits, -1).masked_fill(torch.isneginf(logits), 0)
    return -(targets * log_posteriors).sum(-1)


class Objective:
    """Mean cross-entropy of each model; a defense changes what it must.

    One object serves one call of `train_models`: `begin`, then `backward` at every step. With `draws`, a step depends on
    random numbers of its batch, or on the host in another way; without, it must be the same work every time, told apart by
    tensors only, since it may be recorded and replayed.
    """

    draws = False

    def schedule(self, indices: np.ndarray, steps: int, batch_size: int, seed: int) -> np.ndarray:
        """Fragments of every step of one model, int32 [steps, any width]; -1 fills what a step does not use.

        Called before `begin`.
        """
        return batch_schedule(indices, steps, batch_size, seed)

    def begin(self, job: "Job", network: StackedNetwork) -> None:
        """Called once before training starts, with everything on its device."""

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """One loss per model [models], and the logits [models, batch, classes] whose accuracy is followed.

        features: [models, batch, frames, bins], not yet normalised. labels: int64 [models, batch].
        """
        logits = network(features)
        return cross_entropy(logits, labels).mean(1), logits

    def backward(
        self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        """Set the gradients of the network's parameters; returns detached losses [models] and logits."""
        losses, logits = self.losses(network, features, labels, batch)
        losses.sum().backward()
        return losses.detach(), logits.detach()

    def after_step(self, network: StackedNetwork, batch: Batch) -> None:
        """Called once the optimiser has moved the weights of a batch's step."""

    def tensors(self) -> dict[str, Tensor]:
        """State of the objective's own that a checkpoint must keep."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
