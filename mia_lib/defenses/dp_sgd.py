"""Differentially private training (Abadi et al., CCS 2016): clipped gradients of single fragments, summed, plus noise.

What is promised: for each model by itself, (epsilon, delta) with delta = 1 / (2 n), n being its number of training
fragments, for its weights after all of its steps (and all weights on the way), against whoever does not know the seed.
The unit is the fragment: for a recording or a person with g fragments the promise is only that of group privacy, g
epsilon with a delta of (1 + e^epsilon + ... + e^((g-1) epsilon)) delta. Counted as public: n, the batch size, the number
of steps, the speakers. Not covered: the training history (losses and accuracies of members), and the reference fragments,
whose statistics normalise the features in place of the members' own; they are used without noise. A
model without reference fragments is refused.
The random numbers are a pseudo-random generator's in floating point: enough to measure with, not to publish under.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.accounting import noise_multiplier
from mia_lib.defenses.base import Defense
from mia_lib.models.network import StackedNetwork
from mia_lib.models.per_example import gradient_squares, gradient_sums, recorded, slopes
from mia_lib.support.draws import generator
from mia_lib.support.errors import UsageError
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job, feature_statistics, own_steps, required
from mia_lib.training.objective import Objective, cross_entropy


def sampling_rate(batch_size: int, fragments: int) -> float:
    """Chance that one fragment is in one step, so that `batch_size` are expected (all of them where there are fewer)."""
    return min(1.0, batch_size / fragments)


def poisson_schedule(indices: np.ndarray, steps: int, rate: float, seed: int) -> np.ndarray:
    """Each fragment in each step with chance `rate`, independently: int32 [steps, largest draw], filled up with -1.

    The gaps between successes of independent trials are geometric: the trials of all steps are one stream.
    """
    rng, n, ends = generator(seed, "Poisson batches"), len(indices), [np.array([-1])]
    while ends[-1][-1] < steps * n:
        ends.append(ends[-1][-1] + np.cumsum(rng.geometric(rate, 1 + round(steps * n * rate))))
    trials = np.concatenate(ends[1:])
    step, which = np.divmod(trials[trials < steps * n], n)
    counts = np.bincount(step, minlength=steps)
    schedule = np.full((steps, counts.max(initial=1)), -1, dtype=np.int32)
    schedule[step, np.arange(len(step)) - (np.cumsum(counts) - counts)[step]] = indices[which]
    return schedule


def clipped_gradients(
    network: StackedNetwork, features: Tensor, labels: Tensor, clip: float, drawn: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Sum over the batch of the fragments' gradients, each scaled to a norm of at most `clip`; and the logits.

    features: [models, batch, frames, bins]. labels: int64 [models, batch]. drawn: bool [models, batch], which fragments
    count. The norm is over all parameters of one model. One pass back gives each layer's slopes, from which first the norms
    follow and then the weighted sums (Bu et al., ICML 2023): no fragment's whole gradient is ever held by itself.
    """
    with recorded(network) as calls:
        logits = network(features)
    given = slopes(calls, cross_entropy(logits, labels))
    norms = gradient_squares(calls, given).sqrt()
    weights = (drawn * (clip / norms.clamp_min(clip))).to(logits.dtype)
    return gradient_sums(network, calls, given, weights), logits.detach()


def gaussian(network: StackedNetwork, deviation: Tensor, generators: list[torch.Generator]) -> dict[str, Tensor]:
    """Normal numbers for every parameter, those of model k with deviation[k] and from generator k.

    Classes that a model does not have get none, so that a model draws the same whatever else is in the stack.
    """
    noise = {}
    for prefix, layer in network.named_modules():
        sizes = getattr(layer, "sizes", None)
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            values = torch.zeros(parameter.shape, dtype=parameter.dtype)
            for k in np.flatnonzero(deviation.cpu()):
                part = values[k] if sizes is None else values[k, ..., : sizes[k]]
                part.copy_(
                    torch.randn(part.shape, generator=generators[k], dtype=parameter.dtype) * deviation[k].item()
                )
            noise[name] = values.to(parameter.device)
    return noise


class PrivateObjective(Objective):
    """Cross-entropy, by noisy sums of clipped gradients on Poisson samples. `noise` [models] is per unit of `clip`."""

    draws = True

    def __init__(self, epsilon: np.ndarray, clip: float):
        self.epsilon, self.clip = epsilon, clip

    def schedule(self, indices: np.ndarray, steps: int, batch_size: int, seed: int) -> np.ndarray:
        return poisson_schedule(indices, steps, sampling_rate(batch_size, len(indices)), seed)

    def begin(self, job: Job, network: StackedNetwork) -> None:
        if job.config.norm != "group":
            raise UsageError("dp_sgd needs a network that mixes no fragments: train it with norm='group'")
        reference = required(job.reference, "dp_sgd needs reference fragments, whose statistics normalise the features")
        mean, scale = feature_statistics(job.features, reference)
        network.normalise_by(mean, scale)
        sizes = [len(rows) for rows in job.train]
        rates = [sampling_rate(job.config.batch_size, n) for n in sizes]
        targets, steps = np.broadcast_to(self.epsilon, len(sizes)), own_steps(job.config, job.train)
        noise = [
            noise_multiplier(float(target), rate, int(count), 1 / (2 * n))
            for target, rate, count, n in zip(targets, rates, steps, sizes, strict=True)
        ]
        device, dtype = network.mean.device, network.mean.dtype
        self.noise = torch.tensor(noise).to(device, dtype)
        self.expected = torch.tensor([q * n for q, n in zip(rates, sizes, strict=True)]).to(device, dtype)

    def backward(
        self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        drawn = batch.indices >= 0
        width = max(1, int(drawn.sum(1).max()))  # draws stand first in their row
        features = features[:, :width].masked_fill(~drawn[:, :width, None, None], 0)
        sums, logits = clipped_gradients(network, features, labels[:, :width], self.clip, drawn[:, :width])
        noise = gaussian(network, self.noise * self.clip, batch.generators("noise"))
        for name, parameter in network.named_parameters():
            share = self.expected.view(-1, *[1] * (parameter.ndim - 1))
            parameter.grad = (sums[name] + noise[name]) / share
        losses = cross_entropy(logits, labels[:, :width]).masked_fill(~drawn[:, :width], 0).sum(1)
        return losses / drawn.sum(1).clamp_min(1), pad(logits, (0, 0, 0, drawn.shape[1] - width))


@DEFENSES.register("dp_sgd")
class DPSGD(Defense):
    """Differentially private training (Abadi et al. 2016); strength: epsilon at delta 1/(2n), inf: no noise."""

    family = "privacy"
    strengths = (float("inf"), 32.0, 8.0)
    default = 8.0
    cost = 2.1
    memory = 4.0
    bounds = (0.01, math.inf)
    finite = False
    trains = True
    needs_reference = True

    def __init__(self, strength: float | Sequence[float] | None = None, clip: float = 1.0):
        super().__init__(strength)
        if not 0 < clip < float("inf"):
            raise UsageError(f"the clipping norm must be above 0, not {clip}")
        self.clip = clip

    def changed(self, job: Job) -> Job:
        """With networks that normalise each fragment by itself."""
        return replace(job, config=replace(job.config, norm="group"))

    def objective(self, job: Job) -> Objective:
        return PrivateObjective(self.strength_of(job).double().cpu().numpy(), self.clip)
