"""Signals: what models answer on fragments. The border between whoever owns a model and whoever attacks it.

Attacks see these arrays only, so a saved array from anybody's model is attacked by the same code as the tutorial's.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from mia_lib.errors import MiaError
from mia_lib.models.layers import StackedNetwork
from mia_lib.progress import progress
from mia_lib.statistics import Statistics, statistics

CHUNK_VALUES = 8_000_000  # feature values in one query, over all models: 32 MB in, a few hundred MB inside


@dataclass(frozen=True)
class Signals:
    """Answers of K models on N fragments, and what is known of those fragments.

    logits: float [K, N, C], -inf for classes that a model does not have. labels: int64 [K, N], the fragment's class, -1 if
    its speaker is none of the model's. member: int8 [K, N], 1 member, 0 non-member, -1 not in that model's audit set.
    aligned: the models know the same speakers, and a column is the same fragment for all of them and for the target: what
    attacks need that compare a fragment with itself. population: bool [N], fragments that no model trained on and that
    the attacker knows as such; None if there are none.
    Raises MiaError when shapes disagree or values are not what they should be.
    """

    logits: np.ndarray
    labels: np.ndarray
    member: np.ndarray
    aligned: bool = False
    population: np.ndarray | None = None

    def __post_init__(self):
        if self.logits.ndim != 3:
            raise MiaError(f"logits must have the axes models, fragments, classes, not the shape {self.logits.shape}")
        for name in ("labels", "member"):
            if getattr(self, name).shape != self.logits.shape[:2]:
                raise MiaError(
                    f"{name} must have the shape {self.logits.shape[:2]} of the logits' models and fragments, "
                    f"not {getattr(self, name).shape}"
                )
        if np.isnan(self.logits).any() or np.isposinf(self.logits).any():
            raise MiaError("logits hold values that are not numbers (NaN or infinite)")
        if np.isneginf(self.logits).all(-1).any():
            raise MiaError("some fragments have no finite logit")
        if not np.isin(self.member, (-1, 0, 1)).all():
            raise MiaError("member must hold 1 (member), 0 (non-member) and -1 (not audited) only")
        if self.labels.min(initial=-1) < -1 or self.labels.max(initial=-1) >= self.logits.shape[2]:
            raise MiaError(f"labels must lie between -1 and {self.logits.shape[2] - 1}")
        if self.population is not None:
            if self.population.shape != self.logits.shape[1:2] or self.population.dtype != bool:
                raise MiaError(f"population must be a mask of {self.logits.shape[1]} fragments")
            if (self.member[:, self.population] >= 0).any():
                raise MiaError("fragments of the population must not be audited (their member must be -1)")

    @classmethod
    def from_posteriors(cls, posteriors: np.ndarray, labels: np.ndarray, member: np.ndarray, **options) -> "Signals":
        """Signals of a model that gives posteriors [K, N, C]; raises MiaError unless they are >= 0 and sum to one."""
        posteriors = np.asarray(posteriors, dtype=np.float64)
        if np.isnan(posteriors).any():
            raise MiaError("posteriors hold values that are not numbers (NaN)")
        if (posteriors < 0).any() or np.abs(posteriors.sum(-1) - 1).max(initial=0) > 1e-3:
            raise MiaError("posteriors must be at least 0 and sum to one over the classes")
        with np.errstate(divide="ignore"):
            return cls(np.log(posteriors), labels, member, **options)

    @cached_property
    def statistics(self) -> Statistics:
        """Confidence, loss, entropies and top posteriors of every model and fragment, computed once."""
        return statistics(self.logits, self.labels)

    def posteriors(self) -> np.ndarray:
        """Softmax of the logits, float64 [K, N, C]."""
        z = self.logits.astype(np.float64)
        z -= z.max(-1, keepdims=True)
        np.exp(z, out=z)
        return z / z.sum(-1, keepdims=True)

    def pick(self, models: np.ndarray | list[int]) -> "Signals":
        """The signals of some of the models."""
        return Signals(self.logits[models], self.labels[models], self.member[models], self.aligned, self.population)

    def audit_only(self, fragments: np.ndarray) -> "Signals":
        """The same signals with only the fragments of a mask [N] in the audit sets."""
        return replace(self, member=np.where(fragments, self.member, -1))

    def audited(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the audit sets are: mask [K, N], and the membership of those fragments, bool [number audited]."""
        mask = self.member >= 0
        return mask, self.member[mask] == 1


def query_models(network: StackedNetwork, features: torch.Tensor, device: str | torch.device = "cpu") -> np.ndarray:
    """Logits of every model on every fragment, float32 [models, N, classes]; `features` is [N, frames, bins].

    Every fragment is answered by itself (normalisation in evaluation mode), in chunks of bounded memory.
    """
    network = network.to(device).eval()
    models, (n, frames, bins) = len(network.classes), features.shape
    size = max(1, CHUNK_VALUES // (models * frames * bins))
    dtype = network.mean.dtype
    out = np.empty((models, n, max(network.classes)), dtype=np.float32)
    with torch.no_grad(), progress(f"query {models} models", n, "fragment") as bar:
        for start in range(0, n, size):
            batch = features[start : start + size].to(device, dtype)
            out[:, start : start + size] = network(batch).float().cpu().numpy()
            bar.update(len(batch))
    return out
