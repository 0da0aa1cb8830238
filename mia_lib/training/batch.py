"""What training hands to an objective or an alteration at every step."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork


@dataclass(frozen=True)
class Batch:
    """What an objective may need beside features and labels."""

    indices: Tensor  # int64 [models, batch]: which fragments; -1 where a schedule of the objective's own drew none
    epoch: Tensor  # int64 [models]: passes over its fragments that each model has completed
    progress: Tensor  # float [models]: share of each model's training that is done
    step: int
    seeds: Sequence[int]  # of the models

    def random(self, purpose: str, *shape: int) -> Tensor:
        """Uniform numbers [models, *shape] in [0, 1) on the device of `indices`, drawn for each model by itself.

        The same seed, step and purpose give the same numbers, whatever else is in the stack and after a resumed kill.
        """
        rows = [torch.rand(shape, generator=generator) for generator in self.generators(purpose)]
        return torch.stack(rows).to(self.indices.device)

    def generators(self, purpose: str) -> list[torch.Generator]:
        """A generator of each model's own, on the CPU, for draws of another kind or of a shape that differs by model."""
        return [
            torch.Generator().manual_seed((seed * 1_000_003 + self.step * 1009 + zlib.crc32(purpose.encode())) % 2**63)
            for seed in self.seeds
        ]


def in_rows(fragments: Sequence[np.ndarray]) -> Tensor:
    """Fragments of each model, of any number but none, side by side: int64 [models, longest]; who has fewer begins anew."""
    longest = max(map(len, fragments))
    return torch.from_numpy(np.stack([np.resize(own, longest) for own in fragments]).astype(np.int64))


Alteration = Callable[[StackedNetwork, Tensor, Batch], Tensor]
"""The inputs in place of a batch of their fragments' features [models, batch, frames, bins], of the same shape."""
