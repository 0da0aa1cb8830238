"""The optimiser of a stack of models."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mia_lib.support import device


def gradient(parameter: Tensor) -> Tensor:
    """The gradient of a parameter, which the way back has set."""
    assert parameter.grad is not None, "the loss does not depend on this parameter"
    return parameter.grad


class StackedAdam:
    """Adam (Kingma and Ba 2015) on tensors with a leading model axis, with one learning rate for all models or one for each.

    On a CPU one compiled pass over memory takes the step. torch's fused kernel, for other devices, knows one rate only: where
    rates differ it steps from zero at rate 1, and each model then takes its share of that step.
    """

    def __init__(self, parameters: Sequence[Tensor], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.parameters = list(parameters)
        self.mean, self.square = ([torch.zeros_like(p) for p in self.parameters] for _ in range(2))
        self.updates: list[Tensor] = []  # of steps with rates that differ
        self.counts = [torch.zeros((), device=p.device) for p in self.parameters]
        self.betas, self.eps = betas, eps

    @torch.no_grad()
    def step(self, rates: float | Tensor) -> None:
        """One update at the learning rate of all models, or at those of each, [models]."""
        (self._compiled if device.compiled(self.parameters[0]) else self.without_compiling)(rates)

    def without_compiling(self, rates: float | Tensor) -> None:
        """The step by torch's kernel, on any device."""
        if isinstance(rates, float):
            self._fused(self.parameters, rates)
            return
        self.updates = self.updates or [torch.zeros_like(p) for p in self.parameters]
        self._fused(self.updates, 1.0)
        for p, update in zip(self.parameters, self.updates, strict=True):
            p.addcmul_(update, rates.view(-1, *[1] * (p.ndim - 1)))
        torch._foreach_zero_(self.updates)

    def _compiled(self, rates: float | Tensor) -> None:
        """The step on a CPU."""
        from mia_lib.models import kernels  # numba takes its time to load

        torch._foreach_add_(self.counts, 1)
        models, steps = len(self.parameters[0]), float(self.counts[0])
        each = rates if isinstance(rates, Tensor) else self.mean[0].new_full((models,), rates)
        beta1, beta2 = self.betas
        shares = 1 - beta1, beta2, 1 - beta2, 1 / (1 - beta1**steps), (1 - beta2**steps) ** -0.5, self.eps
        constants = kernels.array(self.mean[0].new_tensor(shares))
        for parameter, mean, square in zip(self.parameters, self.mean, self.square, strict=True):
            tensors = parameter, gradient(parameter).contiguous(), mean, square
            kernels.adam(
                *(kernels.array(tensor.view(models, -1)) for tensor in tensors), kernels.array(each), constants
            )

    def _fused(self, moved: list[Tensor], rate: float) -> None:
        """The fused kernel, which moves tensors by the parameters' slopes."""
        torch._foreach_add_(self.counts, 1)
        largest: list[Tensor] = []  # second moments that only AMSGrad keeps
        state = moved, [gradient(p) for p in self.parameters], self.mean, self.square, largest, self.counts
        beta1, beta2 = self.betas
        torch._fused_adam_(
            *state, lr=rate, beta1=beta1, beta2=beta2, weight_decay=0.0, eps=self.eps, amsgrad=False, maximize=False
        )

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts by name, to be saved or copied into."""
        groups = dict(mean=self.mean, square=self.square, count=self.counts)
        return {f"{name}.{i}": tensor for name, group in groups.items() for i, tensor in enumerate(group)}
