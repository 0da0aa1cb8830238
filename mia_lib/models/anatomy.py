"""What a network is made of, read off the network itself by sending one fragment through it."""

from typing import Any

import torch
from torch import nn

from mia_lib.models.layers import Conv1d, Linear
from mia_lib.models.network import StackedNetwork


@torch.no_grad()
def layers_of(network: StackedNetwork, model: int = 0) -> list[tuple[str, str, int]]:
    """The layers that one model of a stack has, in the order in which a fragment passes through them.

    Each as what it is, the shape that it hands on (after normalisation, ReLU and pooling), and how many weights it has
    itself (the few of a normalisation are not counted); of the last layer those of the model's own classes. The first is the
    input.
    """
    seen: list[tuple[nn.Module, tuple[int, ...]]] = []

    def note(layer: nn.Module, given: Any, _made: Any) -> None:
        seen.append((layer, tuple(given[0].shape[2:])))

    hooks = [layer.register_forward_hook(note) for layer in network.modules() if isinstance(layer, Conv1d | Linear)]
    try:
        network.eval()(torch.zeros(1, 1, network.frames, network.bins, device=network.mean.device).to(network.mean))
    finally:
        for hook in hooks:
            hook.remove()
    order = [layer for layer, _ in seen]
    handed_on = [*(shape for _, shape in seen[1:]), (network.classes[model],)]
    layers = [("input", _text((network.frames, network.bins)), 0)]
    for layer, shape in zip(order, handed_on, strict=True):
        layers.append((_kind(layer), _text(shape), _weights(network, layer, model)))
    return layers


def _kind(layer: nn.Module) -> str:
    return f"convolution, {layer.kernel} wide" if isinstance(layer, Conv1d) else "linear"


def _text(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _weights(network: StackedNetwork, layer: nn.Module, model: int) -> int:
    if layer is network.output:
        return (network.output.weight.shape[1] + 1) * network.classes[model]
    return sum(p[model].numel() for p in layer.parameters())
