"""MemGuard's search for noise (Jia et al., CCS 2019, section 4.2, algorithm 1), for all models and fragments at once.

Logits x start sorted in ascending order, so that the predicted class is the last; p = softmax(x), p0 the original, v the
output of the defender's membership classifier before its sigmoid. Minimised is

    |v(p)|  +  10 max(0, largest other x - x of the predicted class)  +  c3 sum |p - p0|

by steps of length 0.1 along the negative normalised gradient, until the predicted class is the original one and v has
changed its sign. Then c3 grows tenfold and the search starts again; the last success is kept.
"""

import torch
from torch import Tensor

from mia_lib.defenses.membership_classifier import MembershipClassifier

LABEL_WEIGHT = 10.0
STEP, STEPS = 0.1, 299
SMALLEST_C3, LARGEST_C3 = 0.1, 1e5
COMPACT = 0.8  # places are given up when so few of them are still searched


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
