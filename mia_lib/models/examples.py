"""Norms of single examples' gradients, of K models at once, from one pass forth and one back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mia_lib.models.layers import StackedNetwork


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


def gradient_squares(calls: list[tuple], values: Tensor, retain_graph: bool = False) -> Tensor:
    """Squared norms, over all parameters of a model, of the gradients that each example's value has: float64 [K, batch].

    calls: of `recorded`. values: [K, batch], one number per example that no other example takes part in: then the slopes of
    their sum at a layer's output are those of each by itself, and a layer turns its inputs and these into norms.
    """
    slopes = torch.autograd.grad(values.sum(), [output for _, _, output in calls], retain_graph=retain_graph)
    with torch.no_grad():
        pairs = zip(calls, slopes, strict=True)
        return sum(layer.gradient_squares(inputs[0], slope).double() for (layer, inputs, _), slope in pairs)
