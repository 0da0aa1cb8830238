"""Norms of single examples' gradients, and sums of them, of K models at once, from one pass forth and one back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mia_lib.models.network import StackedNetwork


@contextmanager
def recorded(network: StackedNetwork) -> Iterator[list[tuple]]:
    """Within it, what each layer with parameters was given and gave: a list of (layer, inputs, output)."""
    calls: list[tuple] = []
    layers = [layer for layer in network.modules() if any(True for _ in layer.parameters(recurse=False))]
    hooks = [layer.register_forward_hook(lambda *call: calls.append(call)) for layer in layers]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def slopes(calls: list[tuple], values: Tensor) -> tuple[Tensor, ...]:
    """How each example's value rises with each layer's output, one tensor for each of `calls` (of `recorded`).

    values: [K, batch], one number per example that no other example takes part in: then the slopes of their sum are those of
    each by itself.
    """
    return torch.autograd.grad(values.sum(), [output for _, _, output in calls])


@torch.no_grad()
def gradient_squares(calls: list[tuple], slopes: tuple[Tensor, ...], copies: int = 1) -> Tensor:
    """Squared norms, over all parameters of a model, of the gradients that each example's value has: float64 [K, batch].

    With `copies`, so many neighbours of [K, batch * copies] are copies of one example, whose values are added first.
    """
    pairs = zip(calls, slopes, strict=True)
    return sum(layer.gradient_squares(inputs[0], slope, copies).double() for (layer, inputs, _), slope in pairs)


@torch.no_grad()
def gradient_sums(
    network: StackedNetwork, calls: list[tuple], slopes: tuple[Tensor, ...], weights: Tensor
) -> dict[str, Tensor]:
    """The gradient of every parameter, summed over the examples' values with `weights` [K, batch]."""
    prefixes, sums = {layer: name for name, layer in network.named_modules()}, {}
    for (layer, inputs, _), slope in zip(calls, slopes, strict=True):
        weighted = slope * weights.view(*weights.shape, *[1] * (slope.ndim - 2))
        for name, gradient in layer.gradients(inputs[0], weighted).items():
            sums[f"{prefixes[layer]}.{name}"] = gradient
    return sums
