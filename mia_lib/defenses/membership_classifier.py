"""The defender's own membership classifier: what MemGuard (Jia et al., CCS 2019) takes to be the attacker, one per model."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from mia_lib.adam import StackedAdam
from mia_lib.models.layers import Linear

HIDDEN = (32, 32)  # a narrow last layer now and then ends with no unit active, where the search for noise has no slope
STEPS, BATCH, RATE = 600, 128, 3e-3
PURPOSE = 22  # of the draws


class MembershipClassifier(nn.Module):
    """Networks that read posteriors sorted in ascending order [models, n, classes]; above 0 they mean: member.

    Linear layers with ReLU between them, float64.
    """

    def __init__(self, models: int, classes: int, hidden: Sequence[int] = HIDDEN):
        super().__init__()
        widths = [classes, *hidden, 1]
        self.layers = nn.ModuleList(Linear(models, *pair) for pair in pairwise(widths)).double()

    def initialise(self, seeds: Sequence[int]) -> None:
        """Draw the weights of model k from seeds[k]."""
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        for layer in self.layers:
            layer.initialise(generators)

    def forward(self, p: Tensor) -> Tensor:
        """Output before the sigmoid, [models, n]."""
        for layer in self.layers[:-1]:
            p = torch.relu(layer(p))
        return self.layers[-1](p)[..., 0]

    @torch.no_grad()
    def with_gradient(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """Output before the sigmoid [models, n], and its gradient with respect to p, [models, n, classes]."""
        passed = []
        for layer in self.layers[:-1]:
            p = layer(p)
            passed.append(p > 0)
            p = p.relu()
        last = self.layers[-1]
        slope = last.weight.mT
        for layer, mask in zip(reversed(self.layers[:-1]), reversed(passed), strict=True):
            slope = torch.bmm(slope * mask, layer.weight.mT)
        return last(p)[..., 0], slope


def fit_classifiers(
    logits: np.ndarray, members: Sequence[np.ndarray], others: Sequence[np.ndarray], seeds: Sequence[int]
) -> MembershipClassifier:
    """Train one classifier per model on its logits [models, N, classes] of its members and of others it did not see.

    Each batch holds as many members as others; the loss is the mean binary cross-entropy, minimised by Adam.
    """
    models, _, classes = logits.shape
    network, half = MembershipClassifier(models, classes), BATCH // 2
    network.initialise(seeds)
    draws = []
    for inside, outside, seed in zip(members, others, seeds, strict=True):
        rng = np.random.default_rng([int(seed), PURPOSE])
        draws.append(np.concatenate([rng.choice(rows, (STEPS, half)) for rows in (inside, outside)], axis=1))
    adam, rows = StackedAdam(network.parameters()), np.arange(models)[:, None]
    truth = (torch.arange(2 * half) < half).double().expand(models, -1)
    for batch in np.stack(draws, axis=1):
        p = torch.softmax(torch.from_numpy(logits[rows, batch]).double(), -1).sort(-1).values
        network.zero_grad(set_to_none=True)
        loss = nn.functional.binary_cross_entropy_with_logits(network(p), truth, reduction="none")
        loss.mean(1).sum().backward()
        adam.step(torch.full((models,), RATE, dtype=torch.float64))
    return network.requires_grad_(False)
