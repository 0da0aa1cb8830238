"""Differentially private training (Abadi et al., CCS 2016): clipped gradients of single fragments, summed, plus noise.

What is promised: for each model by itself, (epsilon, delta) with delta = 1 / (2 n), n being its number of training
fragments, for its weights after all of its steps (and all weights on the way), against whoever does not know the seed.
The unit is the fragment: for a recording or a person with g fragments the promise is only that of group privacy, g
epsilon with a delta of (1 + e^epsilon + ... + e^((g-1) epsilon)) delta. Counted as public: n, the number
of steps, the speakers. Not covered: the training history (losses and accuracies of members), and the reference fragments,
whose statistics normalise the features in place of the members' own; they are used without noise. A
model without reference fragments is refused.
The random numbers are a pseudo-random generator's in floating point: enough to measure with, not to publish under.

Steps take all fragments at once, at a higher rate, and what is given out is a running average of the weights (De et al. 2022,
arXiv 2204.13650, sections 3.2 and 3.4): a sum over many fragments drowns the same noise better than many sums over few. The
constants below follow a first look at validation speakers of `demo`, seed 0, whose epsilon does not count it.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.defenses.private import gaussian, poisson_schedule, promised_noise, sampling_rate
from mia_lib.models.network import StackedNetwork
from mia_lib.models.per_example import gradient_squares, gradient_sums, recorded, slopes
from mia_lib.support.errors import UsageError
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job, feature_statistics, own_steps, required
from mia_lib.training.objective import Objective, cross_entropy

PASSES, FASTER, CLIP, DECAY = 3, 5.0, 0.3, 0.9  # times the epochs and the rate of an undefended model; running average
AT_ONCE = 128  # fragments of each model whose gradients are held together


def clipped_gradients(
    network: StackedNetwork, features: Tensor, labels: Tensor, clip: float, drawn: Tensor, copies: int = 1
) -> tuple[dict[str, Tensor], Tensor]:
    """Sum over the batch of the fragments' gradients, each scaled to a norm of at most `clip`; and the logits.

    features: [models, batch, frames, bins]. labels: int64 [models, batch]. drawn: bool [models, batch], which fragments
    count. With `copies`, features [models, batch * copies, ...] hold that many of each fragment, one after the other, and the
    mean of a fragment's gradients over them is clipped, once (augmentation multiplicity, De et al. 2022, arXiv 2204.13650).
    The norm is over all parameters of one model. One pass back gives each layer's slopes, from which first the norms
    follow and then the weighted sums (Bu et al., ICML 2023): no fragment's whole gradient is ever held by itself.
    """
    with recorded(network) as calls:
        logits = network(features)
    given = slopes(calls, cross_entropy(logits, labels.repeat_interleave(copies, 1)) / copies)
    norms = gradient_squares(calls, given, copies).sqrt()
    weights = (drawn * (clip / norms.clamp_min(clip))).to(logits.dtype).repeat_interleave(copies, 1)
    return gradient_sums(network, calls, given, weights), logits.detach()[:, ::copies]


class PrivateObjective(Objective):
    """Cross-entropy, by noisy sums of clipped gradients on Poisson samples. `noise` [models] is per unit of `clip`.

    copies: altered copies of each fragment whose mean gradient is clipped (0: the fragment alone); they are those of
    `Job.augmented`. decay: of the running average of the weights, which a model ends as (0: the last weights).
    """

    draws = True

    def __init__(self, epsilon: np.ndarray, clip: float, copies: int = 0, decay: float = 0.0):
        self.epsilon, self.clip, self.copies, self.decay = epsilon, clip, copies, decay
        self.average: dict[str, Tensor] = {}

    def schedule(self, indices: np.ndarray, steps: int, batch_size: int, seed: int) -> np.ndarray:
        return poisson_schedule(indices, steps, sampling_rate(batch_size, len(indices)), seed)

    def begin(self, job: Job, network: StackedNetwork) -> None:
        if job.config.norm != "group":
            raise UsageError("dp_sgd needs a network that mixes no fragments: train it with norm='group'")
        reference = required(job.reference, "dp_sgd needs reference fragments, whose statistics normalise the features")
        mean, scale = feature_statistics(job.features, reference)
        network.normalise_by(mean, scale)
        noise, expected = promised_noise(job, self.epsilon)
        self.noise, self.expected = noise.to(network.mean), expected.to(network.mean)
        self.steps = torch.as_tensor(own_steps(job.config, job.train)).to(network.mean.device)
        self.average = {name: p.detach().clone() for name, p in network.named_parameters()} if self.decay else {}
        self.augmented = None
        if self.copies:
            if job.augmented is None or len(job.augmented) < self.copies:
                raise UsageError(f"dp_sgd needs the features of {self.copies} altered copies (augmented of the job)")
            self.augmented = job.augmented[: self.copies].to(network.mean.device)

    def backward(
        self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        drawn = batch.indices >= 0
        width = max(1, int(drawn.sum(1).max()))  # draws stand first in their row
        sums, logits = self._sums(network, features[:, :width], labels[:, :width], batch.indices[:, :width])
        noise = gaussian(network, self.noise * self.clip, batch.generators("noise"))
        for name, parameter in network.named_parameters():
            share = self.expected.view(-1, *[1] * (parameter.ndim - 1))
            parameter.grad = (sums[name] + noise[name]) / share
        losses = cross_entropy(logits, labels[:, :width]).masked_fill(~drawn[:, :width], 0).sum(1)
        return losses / drawn.sum(1).clamp_min(1), pad(logits, (0, 0, 0, drawn.shape[1] - width))

    def _sums(
        self, network: StackedNetwork, features: Tensor, labels: Tensor, indices: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Sums of clipped gradients over fragments, a part of them at once, and the logits [models, width, classes]."""
        sums: dict[str, Tensor] = {}
        logits = []
        for start in range(0, features.shape[1], AT_ONCE):
            part = slice(start, start + AT_ONCE)
            drawn = indices[:, part] >= 0
            x = features[:, part]
            if self.augmented is not None:
                copies = self.augmented[:, indices[:, part].clamp_min(0)].to(x.dtype)  # [copies, models, batch, ...]
                x = torch.cat([x[None], copies]).permute(1, 2, 0, 3, 4)
                x = x.masked_fill(~drawn[..., None, None, None], 0).flatten(1, 2)
            else:
                x = x.masked_fill(~drawn[..., None, None], 0)
            more, said = clipped_gradients(network, x, labels[:, part], self.clip, drawn, 1 + self.copies)
            sums = {name: sums[name] + value for name, value in more.items()} if sums else more
            logits.append(said)
        return sums, torch.cat(logits, 1)

    @torch.no_grad()
    def after_step(self, network: StackedNetwork, batch: Batch) -> None:
        if not self.average:
            return
        done = self.steps == batch.step + 1
        decay = min(self.decay, (1 + batch.step) / (10 + batch.step))
        for name, parameter in network.named_parameters():
            average = self.average[name].lerp_(parameter, 1 - decay)
            parameter[done] = average[done]

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.average)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self.average[name].copy_(tensor)


@DEFENSES.register("dp_sgd")
class DPSGD(Defense):
    """Differentially private training (Abadi et al. 2016); strength: epsilon at delta 1/(2n), inf: no noise."""

    family = "privacy"
    strengths = (32.0, 8.0)
    default = 8.0
    cost = 6.0
    memory = 8.0
    bounds = (0.01, math.inf)
    finite = False
    trains = True
    needs_reference = True

    def __init__(self, strength: float | Sequence[float] | None = None, clip: float = CLIP, copies: int = 0):
        super().__init__(strength)
        if not 0 < clip < float("inf"):
            raise UsageError(f"the clipping norm must be above 0, not {clip}")
        self.clip, self.copies, self.needs_augmented = clip, copies, copies > 0

    def changed(self, job: Job) -> Job:
        """With networks that normalise each fragment by itself, in more and larger steps."""
        epochs = tuple(PASSES * e for e in job.config.epochs_of(len(job.train)))
        rate = FASTER * job.config.learning_rate
        return replace(job, config=replace(job.config, norm="group", batch_size=0, epochs=epochs, learning_rate=rate))

    def objective(self, job: Job) -> Objective:
        return PrivateObjective(self.strength_of(job).double().cpu().numpy(), self.clip, self.copies, DECAY)
