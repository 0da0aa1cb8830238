"""A training step recorded once and launched as a whole, where launching its kernels one by one takes longer than they do.

On CUDA a step of the paper's network is some hundred kernels of a few microseconds each. A step can be recorded when the
host has no part in it: everything that changes from step to step is then read from, or counted on, the device.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

WARM = 3
"""Steps taken one by one before one is recorded: libraries choose their kernels and workspaces in the first ones."""

Step = Callable[[], tuple[Tensor, ...]]


def cuda_graph(step: Step) -> Step:
    """The step as one launch. Its results are the same tensors each time, overwritten."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = step()

    def replay() -> tuple[Tensor, ...]:
        graph.replay()
        return results

    return replay


RECORDERS: dict[str, Callable[[Step], Step]] = {"cuda": cuda_graph}
"""How a step is recorded, by kind of device."""


def recorded(step: Step, device: torch.device) -> Step:
    """The step, recorded where that is possible; recording takes no step."""
    try:
        return RECORDERS.get(device.type, lambda step: step)(step)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        warnings.warn(
            f"steps are launched one kernel after the other, since recording them failed: {reason}", stacklevel=2
        )
        return step
