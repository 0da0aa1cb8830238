"""Heads that tell speakers apart by embeddings, as identification is built today; an encoder comes before, as the feature."""

from torch import Tensor
from torch.nn.functional import relu

from mia_lib.models.layers import Dropout, Linear
from mia_lib.models.network import MODELS, StackedNetwork

HIDDEN = 256


class EmbeddingNetwork(StackedNetwork):
    """Base: embeddings are centred and share one scale, which keeps the angles between them.

    A dimension in which no training embedding has anything, as after a ReLU, would else count a first little sound as huge.
    """

    def normalise_by(self, mean: Tensor, scale: Tensor) -> None:
        super().normalise_by(mean, scale.square().mean(1, keepdim=True).sqrt().expand_as(scale))


@MODELS.register("head")
class Head(EmbeddingNetwork):
    """One linear layer on all values of a feature, such as an embedding: multinomial logistic regression."""

    def build(self, models: int, frames: int, bins: int, classes: list[int]) -> None:
        self.drop = Dropout(models, frames * bins)
        self.output = Linear(models, frames * bins, max(classes), classes)

    def body(self, x: Tensor) -> Tensor:
        return self.output(self.drop(x.flatten(2)))


@MODELS.register("head_mlp")
class MLPHead(EmbeddingNetwork):
    """One hidden layer of 256 units, normalised, on all values of a feature, such as an embedding."""

    def build(self, models: int, frames: int, bins: int, classes: list[int]) -> None:
        self.hidden, self.norm = Linear(models, frames * bins, HIDDEN), self.normalisation(models, HIDDEN)
        self.drop, self.output = Dropout(models, HIDDEN), Linear(models, HIDDEN, max(classes), classes)

    def body(self, x: Tensor) -> Tensor:
        return self.output(self.drop(relu(self.norm(self.hidden(x.flatten(2))))))
