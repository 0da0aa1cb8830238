"""MemGuard (Jia et al., CCS 2019): noise on the posteriors against the defender's own membership classifier, one per model.

The search for noise (section 4.2, algorithm 1) goes over all models and fragments at once. Logits x start sorted in
ascending order, so that the predicted class is the last; p = softmax(x), p0 the original, v the output of the defender's
membership classifier before its sigmoid. Minimised is

    |v(p)|  +  10 max(0, largest other x - x of the predicted class)  +  c3 sum |p - p0|

by steps of length 0.1 along the negative normalised gradient, until the predicted class is the original one and v has
changed its sign. Then c3 grows tenfold and the search starts again; the last success is kept.

The published search stops beyond the change of sign, so it turns the classifier round instead of leaving it undecided: its
AUC falls below .5, and whoever reads it the other way round has most of it back. Here, unlike in the publication, the noise
is then taken back to the point between the original logits and those found where v is 0 (`undecided`).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor, nn

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Answers
from mia_lib.defenses.output import OutputDefense, given_out, ranked, repeatable_draws
from mia_lib.models.layers import Linear
from mia_lib.signals.statistics import log_posteriors
from mia_lib.support.draws import generator
from mia_lib.support.errors import UsageError
from mia_lib.training.adam import StackedAdam
from mia_lib.training.job import required

HIDDEN = (32, 32)  # a narrow last layer now and then ends with no unit active, where the search for noise has no slope
CLASSIFIER_STEPS, BATCH, RATE = 600, 128, 3e-3
LABEL_WEIGHT = 10.0
STEP, STEPS = 0.1, 299
SMALLEST_C3, LARGEST_C3 = 0.1, 1e5
COMPACT = 0.8  # places are given up when so few of them are still searched
USED_C3 = 10.0  # three rounds of the search instead of the published seven
CHUNK_VALUES = 2_000_000  # posteriors that are searched at once, over all models: 16 MB in each array
HALVINGS = 40  # of the way between two points, after which double precision tells hardly more


class MembershipClassifier(nn.Module):
    """Networks that read posteriors sorted in ascending order [models, n, classes]; above 0 they mean: member.

    Linear layers with ReLU between them, float64.
    """

    def __init__(self, models: int, classes: int, hidden: Sequence[int] = HIDDEN):
        super().__init__()
        widths = [classes, *hidden, 1]
        self.layers = nn.ModuleList(Linear(models, *pair) for pair in pairwise(widths)).double()

    @property
    def linear(self) -> list[Linear]:
        """The layers in their order."""
        return [layer for layer in self.layers if isinstance(layer, Linear)]

    def initialise(self, seeds: Sequence[int]) -> None:
        """Draw the weights of model k from seeds[k]."""
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        for layer in self.linear:
            layer.initialise(generators)

    def forward(self, p: Tensor) -> Tensor:
        """Output before the sigmoid, [models, n]."""
        *hidden, last = self.linear
        for layer in hidden:
            p = torch.relu(layer(p))
        return last(p)[..., 0]

    @torch.no_grad()
    def with_gradient(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """Output before the sigmoid [models, n], and its gradient with respect to p, [models, n, classes]."""
        passed, (*hidden, last) = [], self.linear
        for layer in hidden:
            p = layer(p)
            passed.append(p > 0)
            p = p.relu()
        slope = last.weight.mT
        for layer, mask in zip(reversed(hidden), reversed(passed), strict=True):
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
        rng = generator(seed, "batches of the MemGuard classifier")
        draws.append(np.concatenate([rng.choice(rows, (CLASSIFIER_STEPS, half)) for rows in (inside, outside)], axis=1))
    adam, rows = StackedAdam(list(network.parameters())), np.arange(models)[:, None]
    truth = (torch.arange(2 * half) < half).double().expand(models, -1)
    for batch in np.stack(draws, axis=1):
        p = torch.softmax(torch.from_numpy(logits[rows, batch]).double(), -1).sort(-1).values
        network.zero_grad(set_to_none=True)
        loss = nn.functional.binary_cross_entropy_with_logits(network(p), truth, reduction="none")
        loss.mean(1).sum().backward()
        adam.step(torch.full((models,), RATE, dtype=torch.float64))
    return network.requires_grad_(False)


def classify(g: MembershipClassifier, p: Tensor, resort: bool) -> tuple[Tensor, Tensor]:
    """Output of g [models, n] and its gradient [models, n, classes] at p as it stands, or (`resort`) sorted again."""
    if not resort:
        return g.with_gradient(p)
    values, order = p.sort(-1)
    v, slope = g.with_gradient(values)
    return v, torch.empty_like(slope).scatter_(-1, order, slope)


def descent(x: Tensor, p: Tensor, p0: Tensor, c3: Tensor, v: Tensor, slope: Tensor) -> Tensor:
    """Gradient of the objective with respect to x, [..., classes]; `v` and `slope` from `classify`, `c3` [...]."""
    u = v.sign()[..., None] * slope + c3[..., None] * (p - p0).sign()
    gradient = p * (u - (p * u).sum(-1, keepdim=True))
    rival, place = x[..., :-1].max(-1, keepdim=True)
    push = LABEL_WEIGHT * (rival > x[..., -1:]).double()
    gradient[..., -1:] -= push
    return gradient.scatter_add_(-1, place, push)


@torch.no_grad()
def search(
    g: MembershipClassifier, logits: Tensor, resort: bool = False, largest_c3: float = LARGEST_C3
) -> tuple[Tensor, Tensor]:
    """Noisy logits [models, n, classes] of logits sorted in ascending order, and successful rounds, int64 [models, n].

    Where no round succeeds the logits are the original ones. -inf marks classes that a model does not have. With
    `resort`, g reads the noisy posteriors sorted again, as an attacker would; the published code does not. `largest_c3`:
    fewer rounds cost less time and leave more noise.
    """
    x0 = logits.double()
    p0 = torch.softmax(x0, -1)
    v0, _ = classify(g, p0, resort)
    rows = torch.arange(x0.shape[1]).expand(x0.shape[:2])
    best, rounds = x0.clone(), torch.zeros(x0.shape[:2], dtype=torch.int64)
    x, c3, steps, alive = x0.clone(), torch.full_like(v0, SMALLEST_C3), torch.zeros_like(rounds), v0 != 0
    while alive.any():
        p = torch.softmax(x, -1)
        v, slope = classify(g, p, resort)
        found = alive & (v * v0 <= 0) & (x[..., :-1].amax(-1) < x[..., -1])
        if found.any():
            model, place = found.nonzero(as_tuple=True)
            fragment = rows[model, place]
            best[model, fragment] = x[found]
            rounds[model, fragment] += 1
        gradient = descent(x, p, p0, c3, v, slope)
        moved = x - STEP * gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1e-300)
        x = torch.where(found[..., None], x0, moved)
        alive &= torch.where(found, c3 * 10 < 2 * largest_c3, steps < STEPS)
        steps = torch.where(found, 0, steps + 1)
        c3 = torch.where(found, c3 * 10, c3)
        width = int(alive.sum(1).max())
        if width < COMPACT * alive.shape[1]:
            kept = alive.int().argsort(dim=1, descending=True, stable=True)[:, :width]
            rows, v0, c3, steps, alive = (t.gather(1, kept) for t in (rows, v0, c3, steps, alive))
            wide = kept[..., None].expand(-1, -1, x.shape[-1])
            x, x0, p0 = (t.gather(1, wide) for t in (x, x0, p0))
    return best, rounds


@torch.no_grad()
def undecided(g: MembershipClassifier, logits: Tensor, found: Tensor, resort: bool = False) -> Tensor:
    """The point between `logits` and the noisy logits `found` (`search`) where g's output is 0, [models, n, classes].

    Found by bisection on the straight line, on which the predicted class is the same as at both ends. Where `found` is
    `logits` it stays. What is left of the output is rounding, whose sign tells nothing.
    """
    move = torch.where(logits.isneginf(), 0.0, found - logits)
    before, _ = classify(g, torch.softmax(logits, -1), resort)
    low, high = torch.zeros_like(before), torch.ones_like(before)
    for _ in range(HALVINGS):
        share = (low + high) / 2
        v, _ = classify(g, torch.softmax(logits + share[..., None] * move, -1), resort)
        crossed = v * before <= 0
        low, high = torch.where(crossed, low, share), torch.where(crossed, share, high)
    return logits + (low + high)[..., None] / 2 * move


def release_probability(before: np.ndarray, after: np.ndarray, noise: np.ndarray, budget: float) -> np.ndarray:
    """Probability of giving out the noisy posteriors, so that the expected distortion is at most the budget.

    before, after: the classifier's membership probability without and with noise. noise: sum of the absolute changes of
    the posteriors. 0 where the noise does not bring the classifier closer to 1/2 (equation 17 of the paper).
    """
    closer = np.abs(after - 0.5) < np.abs(before - 0.5)
    return np.where(closer, np.minimum(budget / np.where(closer, noise, 1.0), 1.0), 0.0)


def noisy_log_posteriors(g: MembershipClassifier, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log posteriors [models, n, classes] with noise, and g's membership probabilities [models, n] before and after it.

    g reads the posteriors sorted in ascending order, in the search too, as any attacker can.
    """
    order = ranked(logits)[..., ::-1]
    x = torch.from_numpy(np.take_along_axis(logits, order, -1).astype(np.float64))
    found = undecided(g, x, search(g, x, resort=True, largest_c3=USED_C3)[0], resort=True)
    before, after = (expit(classify(g, torch.softmax(z, -1), resort=True)[0].numpy()) for z in (x, found))
    noisy = np.empty(x.shape)
    np.put_along_axis(noisy, order, log_posteriors(found.numpy()), -1)
    return noisy, before, after


@DEFENSES.register("memguard")
class MemGuard(OutputDefense):
    """Little noise that leaves the defender's own membership classifier undecided, used as often as a budget allows.

    The strength is the budget: the expected sum of absolute changes of the posteriors. The classifiers learn from what
    the models say of their own training fragments and of reference fragments, never of audited ones. Noise is released by
    the classifier's reading of the sorted posteriors. Whether a fragment's noise is released is drawn once: asking again
    gives the same answer.
    """

    family = "obfuscation"
    strengths = (0.5, 1.0)
    default = 1.0
    bounds = (0.0, 2.0)
    needs_reference = True

    def answer(self, answers: Answers) -> np.ndarray:
        job, logits = answers.job, np.asarray(answers.logits)
        if answers.own is None:
            raise UsageError("memguard needs what the models say of every fragment of the job")
        reference = required(job.reference, "memguard needs reference fragments, which no model trains on")
        g = fit_classifiers(answers.own, job.train, reference, job.seeds)
        size = max(1, CHUNK_VALUES // (logits.shape[0] * logits.shape[2]))
        parts = [self._with_noise(g, logits[:, i : i + size], job.seeds) for i in range(0, logits.shape[1], size)]
        return np.concatenate(parts, axis=1)

    def _with_noise(self, g: MembershipClassifier, logits: np.ndarray, seeds) -> np.ndarray:
        noisy, before, after = noisy_log_posteriors(g, logits)
        plain = log_posteriors(logits)
        noise = np.abs(np.exp(noisy) - np.exp(plain)).sum(-1)
        draws = np.stack(
            [repeatable_draws(z, seed, "answers of MemGuard") for z, seed in zip(logits, seeds, strict=True)]
        )
        released = draws < release_probability(before, after, noise, self.one_strength())
        return given_out(np.where(released[..., None], noisy, plain), logits)
