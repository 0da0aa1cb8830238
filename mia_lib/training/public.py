"""A network that was trained on nobody's private speech: what a private training may begin from, at no cost in epsilon."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PublicNetwork:
    """Its weights and buffers without an axis of models, and where its last layer's inputs lie on public fragments."""

    weights: dict[str, Tensor]
    centre: Tensor  # [inputs of the last layer], their mean
    length: float  # their mean distance from it
