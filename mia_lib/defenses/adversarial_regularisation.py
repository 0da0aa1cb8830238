"""Adversarial regularisation (Nasr, Shokri and Houmansadr, CCS 2018): a model that plays against its own attacker.

The logarithmic form of the paper, not the linear one of later code. The attacker is an inference network h that reads
posteriors and the true speaker; it and the model move in turn, all pairs of a stack at once.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import logsigmoid, one_hot, relu

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.models.layers import Linear, uniform
from mia_lib.models.network import StackedNetwork
from mia_lib.support import draws
from mia_lib.support.errors import MiaError
from mia_lib.training.adam import StackedAdam
from mia_lib.training.batch import Batch, in_rows
from mia_lib.training.job import Job, required
from mia_lib.training.objective import Objective, cross_entropy

WIDTH = 64  # of h: enough for the few dozen speakers of a stack, and cheap beside the model
STEPS = 5  # of h for each step of the model
RATE = 1e-3  # of h's Adam


def inference_gain(member: Tensor, reference: Tensor) -> Tensor:
    """What h maximises: (mean log h over members + mean log(1 - h) over the reference set) / 2, eq. 5, [models].

    Both arguments are log-odds of h, [models, batch]: a log-sigmoid of them is finite where a logarithm of h is not.
    """
    return (logsigmoid(member).mean(1) + logsigmoid(-reference).mean(1)) / 2


def regularised_loss(loss: Tensor, member: Tensor, weight: Tensor) -> Tensor:
    """What the model minimises: its loss [models] + weight [models] * mean log h over its members, eq. 7 and algorithm 1.

    The reference set's half of the gain does not enter the model's step. member: log-odds of h, [models, batch].
    """
    return loss + weight * logsigmoid(member).mean(1)


@torch.no_grad()
def forward_frozen(network: StackedNetwork, features: Tensor) -> Tensor:
    """Logits of a batch in the mode that the network is in, its running statistics staying as they are."""
    return functional_call(network, {name: buffer.clone() for name, buffer in network.named_buffers()}, (features,))


class InferenceNetwork(nn.Module):
    """h for K models: a layer on the posteriors, one on the one-hot speaker, two on both; gives log-odds [models, batch]."""

    def __init__(self, classes: Sequence[int]):
        super().__init__()
        self.classes, models = list(classes), len(classes)
        self.posteriors, self.speaker = (Linear(models, max(classes), WIDTH) for _ in range(2))
        self.both, self.output = Linear(models, 2 * WIDTH, WIDTH), Linear(models, WIDTH, 1)

    def initialise(self, generators: list[torch.Generator]) -> None:
        """Draw the weights of model k from generator k, as if its classes were all there are."""
        for layer in (self.posteriors, self.speaker):
            for k, generator in enumerate(generators):
                own, bound = self.classes[k], self.classes[k] ** -0.5
                layer.weight.data[k].zero_()
                uniform(layer.weight[k : k + 1, :own], [generator], bound)
                uniform(layer.bias[k : k + 1], [generator], bound)
        self.both.initialise(generators)
        self.output.initialise(generators)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        speaker = one_hot(labels, logits.shape[-1]).to(logits.dtype)
        parts = [relu(self.posteriors(logits.softmax(-1))), relu(self.speaker(speaker))]
        return self.output(relu(self.both(torch.cat(parts, -1)))).squeeze(-1)


class AdversarialObjective(Objective):
    """Cross-entropy plus `weight` times the logarithm of h on the members, h being trained a few steps before each step.

    The reference fragments pass through the network as a batch of their own, as large as the members' and normalised by
    its own statistics as theirs is, so that batch normalisation does not tell h which is which; running statistics come
    from the members alone, as without the defense. (h on answers in evaluation mode would be closer to the attack, but
    a model then learns to be right in training mode and to please h, and answer nonsense, in the other.)
    """

    draws = True

    def __init__(self, weights: Tensor):
        self.weights = weights  # lambda of each model, [models]

    def begin(self, job: Job, network: StackedNetwork) -> None:
        need = "adversarial_regularisation needs reference fragments that the model does not train on"
        reference = required(job.reference, need)
        for k, rows in enumerate(reference):
            if job.labels[k][rows].min() < 0:
                raise MiaError(f"model {k} needs reference fragments, each of one of its own speakers")
        self.job, device, dtype = job, network.mean.device, network.mean.dtype
        self.weights = self.weights.to(device, dtype)
        self.reference = in_rows(reference).to(device)
        self.sizes = torch.tensor([len(rows) for rows in reference], device=device)
        self.features, self.labels = job.features.to(device), torch.as_tensor(job.labels).to(device)
        self.attacker = InferenceNetwork(network.classes).to(dtype)
        starts = [draws.seeds(seed, "inference network", 1)[0] for seed in job.seeds]
        self.attacker.initialise([torch.Generator().manual_seed(int(start)) for start in starts])
        self.attacker.to(device)
        self.adam = StackedAdam(list(self.attacker.parameters()))

    def losses(self, network: StackedNetwork, features: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = network(features)
        partners, partner_labels = self._partners(network, batch)
        self._train_attacker(logits.detach(), labels, forward_frozen(network, partners), partner_labels)
        loss = regularised_loss(cross_entropy(logits, labels).mean(1), self.attacker(logits, labels), self.weights)
        return loss, logits

    def _partners(self, network: StackedNetwork, batch: Batch) -> tuple[Tensor, Tensor]:
        """As many reference fragments as the batch has members, drawn for each model: features, altered alike, and labels."""
        drawn = batch.random("fragments of the inference network", batch.indices.shape[1]).double()
        rows = self.reference.gather(1, (drawn * self.sizes[:, None]).long())
        features = self.features[rows].to(network.mean.dtype)
        return self.job.altered_inputs(network, features, replace(batch, indices=rows)), self.labels.gather(1, rows)

    def _train_attacker(self, seen: Tensor, labels: Tensor, unseen: Tensor, unseen_labels: Tensor) -> None:
        rates = torch.full_like(self.weights, RATE)
        for _ in range(STEPS):
            self.attacker.zero_grad(set_to_none=True)
            gain = inference_gain(self.attacker(seen, labels), self.attacker(unseen, unseen_labels))
            (-gain.sum()).backward()
            self.adam.step(rates)

    def tensors(self) -> dict[str, Tensor]:
        kept = {f"attacker.{name}": t for name, t in self.attacker.state_dict().items()}
        return kept | {f"adam.{name}": t for name, t in self.adam.tensors().items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.attacker.load_state_dict({n[9:]: t for n, t in tensors.items() if n.startswith("attacker.")})
        for name, tensor in self.adam.tensors().items():
            tensor.copy_(tensors[f"adam.{name}"])


@DEFENSES.register("adversarial_regularisation")
class AdversarialRegularisation(Defense):
    """Trained against an attacker of its own, on data it does not train on (Nasr et al. 2018); strength: half of
    their lambda, since the 1/2 of the gain is not written."""

    family = "adversarial"
    of_paper = True
    strengths = (0.1, 0.3, 1.0)
    default = 1.0
    cost = 2.0
    bounds = (0, math.inf)
    trains = True
    needs_reference = True

    def objective(self, job: Job) -> Objective:
        return AdversarialObjective(self.strength_of(job))
