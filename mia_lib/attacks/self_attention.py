"""SAMIA, the self-attention attack (Yuan and Zhang, USENIX Security 2022): what do posteriors and their sensitivity say?

A small transformer whose tokens are classes, each with its posterior, its sensitivity to noise on the input, and whether it
is the fragment's own, as in the authors' code (mia_prune, transformer.py). Otherwise here: classes are in the order of their
posteriors, the fragment's own first, and TOKENS of them are read, so that shadow models may know other and fewer classes; and
the network is smaller (theirs: three layers of width 64).
"""

import numpy as np
import torch
from torch import Tensor, nn

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_shadows
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import posteriors
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError

TOKENS, NUMBERS = 6, 4  # classes that are read, and what is read of each
WIDTH, HEADS, LAYERS = 16, 2, 2
EPOCHS, BATCH, RATE = 15, 512, 1e-2
MOST = 6_000  # examples to learn from
SMALLEST = 1e-9


def tokens(signals: Signals) -> np.ndarray:
    """What is read of each fragment, float32 [K, N, TOKENS, NUMBERS]: of its own class (where that is unknown: the answered
    one) and then the most likely others, the posterior, the logs of it and of its sensitivity, and whether it is its own.

    Classes that a model does not have are zeros. Raises MiaError where the signals hold no sensitivity.
    """
    if signals.sensitivity is None:
        raise MiaError("this attack needs to know how far answers move with noise on the input (sensitivity)")
    p, s = posteriors(signals.answered_logits), signals.sensitivity
    own = np.where(signals.labels >= 0, signals.labels, p.argmax(-1))[..., None]
    rank = p.copy()
    np.put_along_axis(rank, own, 2.0, -1)
    order = np.argsort(-rank, -1, kind="stable")[..., :TOKENS]
    p, s = (np.take_along_axis(values, order, -1) for values in (p, s))
    logs = [np.log(np.maximum(values, SMALLEST)) / np.log(SMALLEST) for values in (p, s)]
    read = np.stack([p, *logs, order == own], -1) * (p > 0)[..., None]
    return np.pad(read, ((0, 0), (0, 0), (0, TOKENS - read.shape[2]), (0, 0))).astype(np.float32)


class Reader(nn.Module):
    """Log-odds of membership [n] of what is read of n fragments [n, TOKENS, NUMBERS]."""

    def __init__(self):
        super().__init__()
        self.embed, self.place = nn.Linear(NUMBERS, WIDTH), nn.Parameter(torch.zeros(TOKENS, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.0, "gelu", batch_first=True)
        self.attend, self.output = nn.TransformerEncoder(layer, LAYERS), nn.Linear(TOKENS * WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.attend(self.embed(x) + self.place).flatten(1))[:, 0]


@ATTACKS.register("self_attention")
class SelfAttention:
    """A small transformer over the likeliest classes, with the sensitivity of posteriors to noise (SAMIA, 2022)."""

    calibrated = False
    needs = ("sensitivity",)
    threshold = 0.0  # of the log-odds, as the network learnt them from as many members as others

    def __init__(self, seed: int = 0):
        self.seed = seed

    def fit(self, shadows: Signals) -> "SelfAttention":
        check_shadows(shadows)
        mask, member = shadows.audited()
        x = tokens(shadows)[mask]
        rng = generator(self.seed, "examples of self-attention")
        kept = rng.permutation(len(x))[:MOST]
        x, y = torch.from_numpy(x[kept]), torch.from_numpy(member[kept].astype(np.float32))
        self.mean, self.scale = x.mean(0), x.std(0).clamp_min(1e-3)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network = Reader()
        self._learn((x - self.mean) / self.scale, y, rng)
        return self

    def _learn(self, x: Tensor, y: Tensor, rng: np.random.Generator) -> None:
        steps = EPOCHS * -(-len(x) // BATCH)
        adam = torch.optim.Adam(self.network.parameters(), RATE)
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
        loss = nn.BCEWithLogitsLoss(pos_weight=((1 - y).sum() / y.sum().clamp_min(1)).clamp(0.01, 100))
        for _ in range(EPOCHS):
            for rows in torch.from_numpy(rng.permutation(len(x))).split(BATCH):
                adam.zero_grad()
                loss(self.network(x[rows]), y[rows]).backward()
                adam.step()
                fall.step()

    @torch.no_grad()
    def score(self, target: Signals) -> np.ndarray:
        x = (torch.from_numpy(tokens(target)) - self.mean) / self.scale
        found = [self.network(part) for part in x.flatten(0, 1).split(4096)]
        return torch.cat(found).view(x.shape[:2]).double().numpy()
