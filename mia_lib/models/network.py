"""Target architectures by name, each written once for any number of models, and the base that they share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mia_lib.models.layers import Linear
from mia_lib.models.norms import NORMS
from mia_lib.support.errors import UsageError
from mia_lib.support.registry import Registry

MODELS = Registry("model", "mia_lib.models")


class StackedNetwork(nn.Module):
    """Base of all architectures: normalises the features, runs `body`, and masks classes that a model does not have.

    A subclass sets its layers in `build(models, frames, bins, classes)`, `classes` being one number per model, and maps
    normalised features [models, batch, frames, bins] to logits [models, batch, max(classes)] in `body`. Its layers of
    normalisation come from `normalisation`, so that they can be exchanged for ones that mix no examples.
    """

    mean: Tensor
    scale: Tensor
    absent: Tensor
    output: Linear

    def __init__(self, frames: int, bins: int, classes: list[int], norm: str = "batch"):
        super().__init__()
        if norm not in NORMS:
            raise UsageError(f"unknown normalisation {norm!r}: choose one of {', '.join(NORMS)}")
        self.normalisation = NORMS[norm]  # called with (models, channels)
        self.frames, self.bins, self.classes = frames, bins, list(classes)
        models, largest = len(classes), max(classes)
        self.register_buffer("mean", torch.zeros(models, bins))
        self.register_buffer("scale", torch.ones(models, bins))
        absent = torch.arange(largest) >= torch.tensor(classes)[:, None]
        self.register_buffer("absent", absent, persistent=False)
        self.build(models, frames, bins, self.classes)

    def build(self, models: int, frames: int, bins: int, classes: list[int]) -> None:
        """Set the layers; the last one is called `output`."""
        raise NotImplementedError

    def body(self, x: Tensor) -> Tensor:
        """Logits [models, batch, max(classes)] of normalised features [models, batch, frames, bins]."""
        raise NotImplementedError

    def normalise_by(self, mean: Tensor, scale: Tensor) -> None:
        """Take over the mean and standard deviation of each bin, [models, bins], over what the models train on."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def initialise(self, seeds: list[int]) -> None:
        """Draw the weights of model k from seeds[k]."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for layer in self.modules():
            draw = getattr(layer, "initialise", None)
            if layer is not self and draw is not None:
                draw(generators)

    def take_weights(self, weights: Sequence[dict[str, Tensor]]) -> None:
        """Take over weights, means and scales, those of each model by itself; its last layer may be wider or narrower."""
        for name, tensor in self.state_dict().items():
            tensor.zero_()
            for row, own in zip(tensor, weights, strict=True):
                part = own[name][tuple(slice(size) for size in row.shape)]
                row[tuple(slice(size) for size in part.shape)] = part.to(row)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [models, batch, classes] of features [models, batch, frames, bins], or of one batch for all models."""
        models = len(self.classes)
        x = x.expand(models, *x.shape[-3:])
        rate = self.scale[:, None, None].reciprocal()
        x = torch.addcmul(-self.mean[:, None, None] * rate, x, rate)  # (x - mean) / scale in one pass over x
        return self.body(x).masked_fill(self.absent[:, None], -torch.inf)

    def read_by_output(self, x: Tensor) -> Tensor:
        """What the last layer reads of features as in `forward`: [models, batch, its inputs]."""
        read: list[Tensor] = []
        hook = self.output.register_forward_pre_hook(lambda _, given: read.append(given[0]))
        try:
            self(x)
        finally:
            hook.remove()
        return read[0]
