"""Private training of the last layer only, on a network that learnt to hear voices from nobody's private speech.

What is private needs to teach who is who, not what speech is (De et al. 2022, arXiv 2204.13650, section 5; Tramèr and Boneh,
ICLR 2021). All layers but the last are a public network's (`Job.public`), and so are the means and scales of the features: of
the private fragments nothing leaves but noisy sums of clipped gradients of the last layer, over all fragments at once. It
reads what the public network hears of a fragment, less the mean over public fragments: h' = (h - centre) / length. The
promise is that of `dp_sgd`, with the same unit, the same delta and the same limits; here no reference fragments are needed.
The constants were chosen on validation speakers of `demo`, seed 0, whose epsilon does not count that search; for every
other seed and corpus they were fixed beforehand.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.defenses.private import gaussian, poisson_schedule, promised_noise, sampling_rate
from mia_lib.models.network import StackedNetwork
from mia_lib.support.errors import UsageError
from mia_lib.training.adam import gradient
from mia_lib.training.batch import Batch
from mia_lib.training.job import Job, own_steps
from mia_lib.training.objective import Objective, cross_entropy

STEPS, RATE, CLIP = 30, 0.2, 1.0
AT_ONCE = 128  # fragments of each model that the public network hears together


class PrivateHead(Objective):
    """Cross-entropy of the last layer alone, by noisy sums of clipped gradients. While it trains, the layer reads h'; with a
    model's last step the centre and the length are taken into its weights, so that what is given out is a plain network."""

    draws = True

    def __init__(self, epsilon: np.ndarray, clip: float):
        self.epsilon, self.clip, self.altered = epsilon, clip, False
        self.heard: Tensor | None = None  # h' of each model's fragments, [models, n, inputs]

    def schedule(self, indices: np.ndarray, steps: int, batch_size: int, seed: int) -> np.ndarray:
        return poisson_schedule(indices, steps, sampling_rate(batch_size, len(indices)), seed)

    def begin(self, job: Job, network: StackedNetwork) -> None:
        if job.public is None:
            raise UsageError("dp_finetune needs a network that was trained on public speech (public of the job)")
        own, public = network.state_dict(), job.public
        for name, tensor in own.items():
            if name.startswith("output."):
                tensor.zero_()
            elif name not in public.weights or public.weights[name].shape != tensor.shape[1:]:
                raise UsageError(f"dp_finetune needs a public network of the same kind: its {name} does not fit")
            else:
                tensor.copy_(public.weights[name].expand_as(tensor))
        noise, expected = promised_noise(job, self.epsilon)
        self.noise, self.expected = noise.to(network.mean), expected.to(network.mean)
        self.altered = bool(job.alterations)  # then each step hears anew
        self.centre, self.length = public.centre.to(network.mean), public.length
        self.steps = torch.as_tensor(own_steps(job.config, job.train)).to(network.mean.device)

    @torch.no_grad()
    def backward(
        self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor]:
        drawn, layer = batch.indices >= 0, network.output
        if self.heard is None or self.altered:  # every step takes all fragments, in the same order
            parts = [network.read_by_output(part) for part in features.split(AT_ONCE, 1)]
            self.heard = ((torch.cat(parts, 1) - self.centre) / self.length).masked_fill(~drawn[..., None], 0)
        logits = layer(self.heard).masked_fill(network.absent[:, None], -torch.inf)
        slope = torch.softmax(logits, -1).scatter_add(2, labels[..., None], -torch.ones_like(logits[..., :1]))
        norms = layer.gradient_squares(self.heard, slope).sqrt()
        weights = drawn * (self.clip / norms.clamp_min(self.clip))
        sums = layer.gradients(self.heard, slope * weights[..., None])
        noise = gaussian(layer, self.noise * self.clip, batch.generators("noise of the last layer"))
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        for name, parameter in layer.named_parameters():
            gradient(parameter).copy_((sums[name] + noise[name]) / self.expected[:, None, None])
        losses = cross_entropy(logits, labels).masked_fill(~drawn, 0).sum(1)
        return losses / drawn.sum(1).clamp_min(1), logits

    @torch.no_grad()
    def after_step(self, network: StackedNetwork, batch: Batch) -> None:
        layer = network.output
        for k in (self.steps == batch.step + 1).nonzero().flatten().tolist():
            layer.weight[k] /= self.length
            layer.bias[k] -= self.centre @ layer.weight[k]


@DEFENSES.register("dp_finetune")
class DPFinetune(Defense):
    """Private training of the last layer, on a public network (De et al. 2022); strength: epsilon at delta 1/(2n)."""

    family = "privacy"
    strengths = (1000.0, 100.0, 32.0, 8.0, 3.0, 1.0)
    default = 8.0
    cost = 0.3
    memory = 4.0
    bounds = (0.01, math.inf)
    finite = False
    trains = True
    needs_public = True

    def changed(self, job: Job) -> Job:
        """A few large steps, of networks that normalise each fragment by itself."""
        config = replace(job.config, norm="group", batch_size=0, epochs=(STEPS,) * len(job.train), learning_rate=RATE)
        return replace(job, config=replace(config, schedule="cosine", patience=0))

    def objective(self, job: Job) -> Objective:
        return PrivateHead(self.strength_of(job).double().cpu().numpy(), CLIP)
