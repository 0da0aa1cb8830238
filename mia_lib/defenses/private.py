"""What training under differential privacy needs, whatever is trained: draws, noise and how much of it a promise takes."""

import numpy as np
import torch
from torch import Tensor, nn

from mia_lib.defenses.accounting import noise_multiplier
from mia_lib.support.draws import generator
from mia_lib.training.job import Job, batch_sizes, own_steps


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


def gaussian(layers: nn.Module, deviation: Tensor, generators: list[torch.Generator]) -> dict[str, Tensor]:
    """Normal numbers for every parameter of some layers, those of model k with deviation[k] and from generator k.

    Classes that a model does not have get none, so that a model draws the same whatever else is in the stack.
    """
    noise = {}
    for prefix, layer in layers.named_modules():
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


def promised_noise(job: Job, epsilon: np.ndarray) -> tuple[Tensor, Tensor]:
    """The noise per unit of clipping norm that keeps each model's promise, and the fragments that a step expects, [models].

    epsilon: of each model, or one for all; delta is 1 / (2 n) for n training fragments.
    """
    sizes, batches = [len(rows) for rows in job.train], batch_sizes(job.config, job.train)
    rates = [sampling_rate(int(batch), n) for batch, n in zip(batches, sizes, strict=True)]
    targets, steps = np.broadcast_to(epsilon, len(sizes)), own_steps(job.config, job.train)
    noise = [
        noise_multiplier(float(target), rate, int(count), 1 / (2 * n))
        for target, rate, count, n in zip(targets, rates, steps, sizes, strict=True)
    ]
    expected = [rate * n for rate, n in zip(rates, sizes, strict=True)]
    return torch.tensor(noise, dtype=torch.float64), torch.tensor(expected, dtype=torch.float64)
