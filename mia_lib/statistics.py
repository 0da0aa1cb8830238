"""What attacks read off a model's answer: confidences and uncertainties, exact also where a posterior rounds to 1."""

from dataclasses import dataclass, fields

import numpy as np
import torch


@dataclass(frozen=True)
class Statistics:
    """Numbers per model and fragment, all float64 [K, N] unless said otherwise. p: posteriors, y: the fragment's class."""

    phi: np.ndarray  # logit-scaled confidence z_y - logsumexp of the other logits (LiRA, Carlini et al. 2022)
    loss: np.ndarray  # cross-entropy -log p_y in nats
    entropy: np.ndarray  # of the posteriors, in nats
    modified_entropy: np.ndarray  # -(1 - p_y) log p_y - sum over i != y of p_i log(1 - p_i) (Song and Mittal 2021)
    correct: np.ndarray  # 1 where the largest logit is the true class's, else 0
    top: np.ndarray  # [K, N, 3] the largest posteriors, descending (0 where there are fewer classes)

    def part(self, index: tuple) -> "Statistics":
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
        z, y = torch.from_numpy(np.array(model)).double() / temperature, torch.from_numpy(np.array(label))
        y = torch.where(y >= 0, y, z.argmax(1))[:, None]
        rows.append((z.gather(1, y) - torch.logsumexp(z.scatter(1, y, -torch.inf), 1, keepdim=True))[:, 0])
    return torch.stack(rows).numpy()


def _of_one_model(z: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
    predicted = z.argmax(1)
    known = labels >= 0
    y = torch.where(known, labels, predicted)[:, None]
    ordered = z.sort(
        1, descending=True
    ).values  # sums over it don't depend, in their last bits, on which class is where
    total = torch.logsumexp(ordered, 1, keepdim=True)
    log_p = z - total
    p = log_p.exp()
    z_y = z.gather(1, y)
    others = torch.logsumexp(z.scatter(1, y, -torch.inf), 1, keepdim=True)  # log of the sum over the other classes
    in_order = (ordered - total).exp()
    entropy = torch.special.entr(in_order).sum(1)
    doubt = torch.log1p(-p)  # log(1 - p), which loses its digits only for the largest p
    best = predicted[:, None]
    doubt.scatter_(1, best, torch.logsumexp(z.scatter(1, best, -torch.inf), 1, keepdim=True) - total)
    wrong = torch.where(p > 0, p * doubt, 0.0).scatter(1, y, 0.0).sum(1)
    modified = -(others - total).exp()[:, 0] * log_p.gather(1, y)[:, 0] - wrong
    top = in_order[:, :3]
    top = torch.nn.functional.pad(top, (0, 3 - top.shape[1]))
    correct = (known & (z_y[:, 0] >= z.amax(1)) & (predicted == y[:, 0])).double()
    return (z_y - others)[:, 0], -log_p.gather(1, y)[:, 0], entropy, modified, correct, top
