"""Layers for K models at once: every tensor carries a leading model axis, and K = 1 is not a special case.

Activations are [models, batch, length, channels]. A convolution is a copy of its windows and one batched matrix
product. Each model is initialised from a generator of its own, in the order of its layers, so that it starts the same
whatever else is in the stack. What a stack of small models waits for is memory: two operations have a gradient of their
own, which passes over the activations fewer times than the chain rule would.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mia_lib.support import device

EPSILON = 1e-5  # added to every variance before a division


def of_examples(rows: Tensor, copies: int) -> Tensor:
    """Rows [models, batch * copies, n, channels] of copies as their examples': [models, batch, copies * n, channels]."""
    return rows.unflatten(1, (-1, copies)).flatten(2, 3)


def uniform(weight: Tensor, generators: list[torch.Generator], bound: float, sizes: list[int] | None = None) -> None:
    """Fill weight[k] from U(-bound, bound) with generator k; of its last axis only sizes[k], the rest 0."""
    with torch.no_grad():
        weight.zero_()
        for k, generator in enumerate(generators):
            part = weight[k] if sizes is None else weight[k, ..., : sizes[k]]
            drawn = torch.rand(part.shape, generator=generator, dtype=torch.float64)
            part.copy_((2 * drawn - 1) * bound)


class CompiledWindows(torch.autograd.Function):
    """[models, batch, length, channels] -> [models, batch, outputs, kernel * channels]: what each output position sees; on a
    CPU."""

    @staticmethod
    def forward(ctx, x: Tensor, kernel: int, padding: int, dilation: int) -> Tensor:
        from mia_lib.models import kernels  # numba takes its time to load

        models, batch, length, channels = ctx.shape = x.shape
        ctx.sizes = kernel, padding, dilation
        seen = x.new_empty(models, batch, length + 2 * padding - dilation * (kernel - 1), kernel * channels)
        kernels.windows(kernels.array(x.reshape(models, batch, -1)), channels, *ctx.sizes, kernels.array(seen))
        return seen

    @staticmethod
    def backward(ctx, slope: Tensor):
        from mia_lib.models import kernels

        dx = slope.new_empty(ctx.shape)
        kernels.slope_of_windows(kernels.array(slope.contiguous()), *ctx.sizes, kernels.array(dx))
        return dx, None, None, None


class Windows(torch.autograd.Function):
    """The same from torch's own operations, on any device."""

    @staticmethod
    def forward(ctx, x: Tensor, kernel: int, padding: int, dilation: int) -> Tensor:
        models, batch, length, channels = x.shape
        ctx.sizes = kernel, padding, dilation, length
        out = length + 2 * padding - dilation * (kernel - 1)
        x = F.pad(x, (0, 0, padding, padding)).contiguous()
        strides = (*x.stride()[:3], dilation * x.stride(2), 1)
        return (
            x.as_strided((models, batch, out, kernel, channels), strides).reshape(models, batch, out, -1).contiguous()
        )

    @staticmethod
    def backward(ctx, slope: Tensor):
        kernel, padding, dilation, length = ctx.sizes
        slope = slope.unflatten(3, (kernel, -1))
        models, batch, out, _, channels = slope.shape
        if (
            out == length and padding % dilation == 0
        ):  # the middle of each window is the input itself: no zeros to start from
            middle = padding // dilation
            x = slope[:, :, :, middle].clone()
            for t in (t for t in range(kernel) if t != middle):
                shift = t * dilation - padding
                after, before = max(shift, 0), max(-shift, 0)
                x[:, :, after : length - before].add_(slope[:, :, before : length - after, t])
            return x, None, None, None
        x = slope.new_zeros(models, batch, length + 2 * padding, channels)
        for t in range(kernel):
            x[:, :, t * dilation :][:, :, :out].add_(slope[:, :, :, t])
        return x[:, :, padding : padding + length], None, None, None


class Conv1d(nn.Module):
    """Convolution over the length. No bias: a normalisation follows, which has one."""

    def __init__(self, models: int, inputs: int, outputs: int, kernel: int, padding: int = 0, dilation: int = 1):
        super().__init__()
        self.kernel, self.padding, self.dilation = kernel, padding, dilation
        self.weight = nn.Parameter(torch.empty(models, kernel * inputs, outputs))

    def initialise(self, generators: list[torch.Generator]) -> None:
        uniform(self.weight, generators, 1 / math.sqrt(self.weight.shape[1]))

    def windows(self, x: Tensor) -> Tensor:
        """What each output position sees: [models, batch, outputs, kernel * inputs]."""
        function = CompiledWindows if device.compiled(x) else Windows
        return function.apply(x, self.kernel, self.padding, self.dilation)

    def forward(self, x: Tensor) -> Tensor:
        windows = self.windows(x)
        models, batch, out, seen = windows.shape
        y = torch.bmm(windows.view(models, batch * out, seen), self.weight)
        return y.view(models, batch, out, -1)

    def gradient_squares(self, x: Tensor, slope: Tensor, copies: int = 1) -> Tensor:
        """Squared norms [models, batch] of the gradients that each example alone has, from its input and output slope; those
        of `copies` neighbours are added first.

        The gradient is A'B, from windows A and slopes B with a row for each position; |A'B|² is also the sum of AA' times
        BB', element by element: far fewer numbers where positions are few (Bu, Mao and Xu, NeurIPS 2022).
        """
        windows, slope = of_examples(self.windows(x), copies), of_examples(slope, copies)
        if windows.shape[2] ** 2 < windows.shape[3] * slope.shape[3]:
            products = (windows @ windows.transpose(2, 3)) * (slope @ slope.transpose(2, 3))
            return products.sum((2, 3)).clamp_min(0)
        return (windows.transpose(2, 3) @ slope).square().sum((2, 3))

    def gradients(self, x: Tensor, slope: Tensor) -> dict[str, Tensor]:
        """The gradient of each parameter, from input and output slope."""
        windows = self.windows(x).flatten(1, 2)
        return {"weight": torch.bmm(windows.transpose(1, 2), slope.flatten(1, 2))}


class Linear(nn.Module):
    """Affine map of [models, batch, inputs]; with `sizes`, model k uses only its first sizes[k] outputs."""

    def __init__(self, models: int, inputs: int, outputs: int, sizes: list[int] | None = None):
        super().__init__()
        self.sizes = sizes
        self.weight = nn.Parameter(torch.empty(models, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(models, 1, outputs))

    def initialise(self, generators: list[torch.Generator]) -> None:
        bound = 1 / math.sqrt(self.weight.shape[1])
        uniform(self.weight, generators, bound, self.sizes)
        uniform(self.bias, generators, bound, self.sizes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)

    def gradient_squares(self, x: Tensor, slope: Tensor, copies: int = 1) -> Tensor:
        """Squared norms [models, batch] of the gradients that each example alone has, from its input and output slope; those
        of `copies` neighbours are added first."""
        if copies == 1:
            return slope.square().sum(2) * (1 + x.square().sum(2))
        x, slope = of_examples(x[:, :, None], copies), of_examples(slope[:, :, None], copies)
        products = (1 + x @ x.transpose(2, 3)) * (slope @ slope.transpose(2, 3))
        return products.sum((2, 3)).clamp_min(0)

    def gradients(self, x: Tensor, slope: Tensor) -> dict[str, Tensor]:
        """The gradient of each parameter, from input and output slope."""
        return {"weight": torch.bmm(x.transpose(1, 2), slope), "bias": slope.sum(1, keepdim=True)}


class Dropout(nn.Module):
    """Sets a share of the values to zero while training, and scales up the others (Srivastava et al., JMLR 2014).

    `rate` [models] is 0 unless a defense sets it, and `draws`, uniform numbers [models, batch, width], are given anew for
    each step: without them, as in evaluation mode, nothing is dropped.
    """

    rate: Tensor

    def __init__(self, models: int, width: int):
        super().__init__()
        self.width = width
        self.draws: Tensor | None = None
        self.register_buffer("rate", torch.zeros(models), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.draws is None or not self.training:
            return x
        rate = self.rate[:, None, None]
        return x * (self.draws >= rate) / (1 - rate)


def statistics_pool(x: Tensor) -> Tensor:
    """Mean and standard deviation over the length: [models, batch, length, c] -> [models, batch, 2c]."""
    mean = x.mean(2, keepdim=True)
    return torch.cat([mean[:, :, 0], torch.sqrt((x - mean).square().mean(2) + EPSILON)], dim=-1)
