"""What attacks read off a model's answer: confidences and uncertainties, exact also where a posterior rounds to 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from mia_lib.support.errors import MiaError

FLOOR = math.log(1e-12)
"""Stands for the logarithm of a posterior of zero, whether a defense gives it out or a rounded answer comes in."""


@dataclass(frozen=True)
class Statistics:
    """Numbers per model and fragment, all float64 [K, N] unless said otherwise. p: posteriors, y: the fragment's class."""

    phi: np.ndarray  # logit-scaled confidence z_y - logsumexp of the other logits (LiRA, Carlini et al. 2022)
    loss: np.ndarray  # cross-entropy -log p_y in nats
    entropy: np.ndarray  # of the posteriors, in nats
    modified_entropy: np.ndarray  # -(1 - p_y) log p_y - sum over i != y of p_i log(1 - p_i) (Song and Mittal 2021)
    correct: np.ndarray  # 1 where the largest logit is the true class's, else 0
    top: np.ndarray  # [K, N, 3] the largest posteriors, descending (0 where there are fewer classes)

    def __getitem__(self, index: tuple) -> "Statistics":
        """Those of some of the models or fragments: `index` into [K, N]."""
        return Statistics(*(getattr(self, field.name)[index] for field in fields(self)))


def statistics(logits: np.ndarray, labels: np.ndarray) -> Statistics:
    """Statistics of logits [K, N, C] and labels [K, N], one model at a time.

    A fragment with label -1 (its speaker is none of the classes) is never correct; elsewhere the predicted class stands
    in for the true one, as it would for whoever knows no better.
    """
    columns = [_of_one_model(torch.from_numpy(np.array(z)).double(), torch.from_numpy(np.array(y)))
               for z, y in zip(logits, labels, strict=True)]  # fmt: skip
    return Statistics(*(torch.stack(column).numpy() for column in zip(*columns, strict=True)))


def confidence(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Logit-scaled confidence phi of logits [K, N, C] divided by a temperature, float64 [K, N]; labels as above."""
    rows = []
    for model, label in zip(logits, labels, strict=True):
        z, y = torch.from_numpy(np.array(model)).double(), torch.from_numpy(np.array(label))
        y = torch.where(y >= 0, y, z.argmax(1))
        rows.append(log_odds(z.div_(temperature), y))
    return torch.stack(rows).numpy()


def confidences(logits: np.ndarray, labels: np.ndarray, temperatures: Sequence[float]) -> np.ndarray:
    """`confidence` of one model's logits [n, C] at several temperatures, float64 [temperatures, n], by one exponential a
    value: what is divided by half the temperature is its square."""
    z, y = torch.from_numpy(np.array(logits)).double(), torch.from_numpy(np.array(labels))
    y = torch.where(y >= 0, y, z.argmax(1))
    others = other_logits(z, y)
    largest = others.max(1, keepdim=True).values
    largest = largest.where(largest.isfinite(), 0.0)
    right, others, before = (z.gather(1, y[:, None]) - largest)[:, 0], others.sub_(largest), max(temperatures)
    e, found = others.div_(before).exp_(), {}
    for t in sorted(temperatures, reverse=True):
        e = e if t == before else e.pow_(before / t)
        found[t], before = right / t - e.sum(1).log(), t
    return torch.stack([found[t] for t in temperatures]).numpy()


def other_logits(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Logits z [..., C] with -inf in the place of class y [...]."""
    return z.scatter(-1, y[..., None], -torch.inf)


def log_odds(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """phi = z_y - logsumexp of the other logits, [...] from z [..., C] and y [...]; exact for any distance between them."""
    return z.gather(-1, y[..., None])[..., 0] - torch.logsumexp(other_logits(z, y), -1)


def _below_largest(logits: np.ndarray) -> np.ndarray:
    """Logits less the largest of the last axis, float64."""
    z = logits.astype(np.float64)
    z -= z.max(-1, keepdims=True)
    return z


def posteriors(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float64."""
    z = _below_largest(logits)
    np.exp(z, out=z)
    return z / z.sum(-1, keepdims=True)


def log_posteriors(logits: np.ndarray) -> np.ndarray:
    """Log softmax over the last axis, float64; -inf stays for classes that a model does not have."""
    z = _below_largest(logits)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def log_of_posteriors(given: np.ndarray) -> np.ndarray:
    """Logarithms of posteriors [..., C] that somebody else wrote down, none below FLOOR, float64.

    Raises MiaError unless they are numbers of at least 0 that sum to one, within what rounding to their decimals can move.
    """
    p = np.asarray(given, dtype=np.float64)
    if np.isnan(p).any():
        raise MiaError("posteriors hold values that are not numbers (NaN)")
    if (p < 0).any() or np.abs(p.sum(-1) - 1).max(initial=0) > max(1e-3, _rounding(p)):
        raise MiaError("posteriors must be at least 0 and sum to one over the classes")
    return np.log(np.maximum(p, math.exp(FLOOR)))


def _rounding(p: np.ndarray) -> float:
    """How far rounding to two decimals or more moves the sum of posteriors [..., C]; 0 for those that are not rounded."""
    decimals = next((d for d in (2, 3, 4) if np.allclose(p, np.round(p, d), rtol=0, atol=1e-7)), None)
    return 0.0 if decimals is None else min(0.5, 0.51 * p.shape[-1] * 10.0**-decimals)


def _of_one_model(z: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """One exponential per value serves all; what would cancel is summed without the term that makes it cancel."""
    largest, best = z.max(1, keepdim=True)
    known = labels >= 0
    y = torch.where(known[:, None], labels[:, None], best)
    below = z - largest  # [N, C] from here on relative to the largest logit
    e = below.exp()
    rest = e.scatter(1, best, 0.0).sum(1, keepdim=True)  # all but the largest, whose own exponential is 1
    total = torch.log1p(rest)
    others = e.scatter(1, y, 0.0).sum(1, keepdim=True)
    below_y = below.gather(1, y)
    loss = (total - below_y)[:, 0]
    phi = below_y[:, 0] - others.log()[:, 0]
    lost = others[:, 0] < 1e-290  # too far below the largest logit for the exponentials above
    phi[lost] = log_odds(z[lost], y[lost, 0])
    p = e.div_(1 + rest)
    entropy = total[:, 0] - (p * below).nan_to_num_(0.0).sum(1)  # a class of logit -inf adds nothing
    top = p.topk(min(3, p.shape[1]), dim=1).values
    top = torch.nn.functional.pad(top, (0, 3 - top.shape[1]))
    doubt = torch.log1p(-p)  # log(1 - p), which loses its digits only for the largest p
    doubt.scatter_(1, best, rest.log() - total)
    wrong = doubt.mul_(p).nan_to_num_(0.0, neginf=0.0).scatter_(1, y, 0.0).sum(1)
    modified = (others / (1 + rest))[:, 0] * loss - wrong
    correct = (known & (best[:, 0] == y[:, 0])).double()
    return *map(_settled, (phi, loss, entropy, modified)), correct, _settled(top)


def _settled(x: torch.Tensor) -> torch.Tensor:
    """x without its last bits, in which sums of the same numbers in another order differ: equal answers score the same."""
    mantissa, exponent = torch.frexp(x)
    return torch.ldexp(torch.round(mantissa * 2.0**44) / 2.0**44, exponent)
