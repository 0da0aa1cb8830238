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

from mia_lib.errors import UsageError

GROUPS, GROUP_CHANNELS = 8, 4

EPSILON = 1e-5  # added to every variance before a division


def uniform(weight: Tensor, generators: list[torch.Generator], bound: float, sizes: list[int] | None = None) -> None:
    """Fill weight[k] from U(-bound, bound) with generator k; of its last axis only sizes[k], the rest 0."""
    with torch.no_grad():
        weight.zero_()
        for k, generator in enumerate(generators):
            part = weight[k] if sizes is None else weight[k, ..., : sizes[k]]
            drawn = torch.rand(part.shape, generator=generator, dtype=torch.float64)
            part.copy_((2 * drawn - 1) * bound)


class _Windows(torch.autograd.Function):
    """[models, batch, length, channels] -> [models, batch, outputs, kernel * channels]: what each output position sees."""

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
        x = slope.new_zeros(models, batch, length + 2 * padding, channels)
        for t in range(kernel):
            x[:, :, t * dilation :][:, :, :out] += slope[:, :, :, t]
        return x[:, :, padding : padding + length], None, None, None


class _NormalisedPool(torch.autograd.Function):
    """Batch normalisation, then the maximum over `pool` neighbours, of [models, batch, length, channels].

    A channel's normalisation rises or falls with the sign of its weight, so the maximum is taken first and only what is left
    is scaled and shifted. Also returns mean and variance [models, channels] over batch and length.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, pool: int) -> tuple[Tensor, Tensor, Tensor]:
        weight = weight[:, None, None]
        mean = x.mean((1, 2), keepdim=True)
        x = x - mean
        variance = x.square().mean((1, 2), keepdim=True)
        rate, sign = (variance + EPSILON).rsqrt(), torch.where(weight < 0, -1.0, 1.0).to(x.dtype)
        x *= rate * sign
        top, ctx.places = _pool(x, pool) if pool > 1 else (x, None)
        ctx.pool = pool
        ctx.save_for_backward(x, top, weight, rate, sign)
        mean, variance = mean[:, 0, 0], variance[:, 0, 0]
        ctx.mark_non_differentiable(mean, variance)
        return torch.addcmul(bias[:, None, None], top, weight.abs()), mean, variance

    @staticmethod
    def backward(ctx, slope: Tensor, *_unused):
        x, top, weight, rate, sign = ctx.saved_tensors
        n = x.shape[1] * x.shape[2]
        down, tilt = slope.sum((1, 2), keepdim=True), (slope * top).sum((1, 2), keepdim=True)
        slope = slope * (weight * rate)
        dx = _pool_backward(slope, x, ctx.pool, ctx.places) if ctx.pool > 1 else slope
        dx.addcmul_(x, weight * rate * tilt / -n).sub_(weight * rate * down / n)
        return dx, (tilt * sign)[:, 0, 0], down[:, 0, 0], None


def _pool(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Maximum over `size` neighbours along the length of [models, batch, length, channels], and where it was found."""
    top, places = torch.ops.aten.max_pool2d_with_indices(_images(x), [size, 1], [size, 1])
    return top.permute(0, 2, 3, 1).reshape(*x.shape[:2], -1, x.shape[3]), places


def _pool_backward(slope: Tensor, x: Tensor, size: int, places: Tensor) -> Tensor:
    """The slope of `_pool`'s input x."""
    window = [size, 1], [size, 1], [0, 0], [1, 1]
    dx = torch.ops.aten.max_pool2d_with_indices_backward(_images(slope), _images(x), *window, False, places)
    return dx.permute(0, 2, 3, 1).view(x.shape)


def _images(x: Tensor) -> Tensor:
    """[models, batch, length, channels] seen as [models * batch, channels, length, 1], channels last in memory."""
    return x.reshape(-1, *x.shape[2:]).unsqueeze(2).permute(0, 3, 1, 2)


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
        return _Windows.apply(x, self.kernel, self.padding, self.dilation)

    def forward(self, x: Tensor) -> Tensor:
        windows = self.windows(x)
        models, batch, out, seen = windows.shape
        y = torch.bmm(windows.view(models, batch * out, seen), self.weight)
        return y.view(models, batch, out, -1)

    def gradient_squares(self, x: Tensor, slope: Tensor) -> Tensor:
        """Squared norms [models, batch] of the gradients that each example alone has, from its input and output slope.

        The gradient is A'B, from windows A and slopes B with a row for each position; |A'B|² is also the sum of AA' times
        BB', element by element: far fewer numbers where positions are few (Bu, Mao and Xu, NeurIPS 2022).
        """
        windows = self.windows(x)
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

    def gradient_squares(self, x: Tensor, slope: Tensor) -> Tensor:
        """Squared norms [models, batch] of the gradients that each example alone has, from its input and output slope."""
        return slope.square().sum(2) * (1 + x.square().sum(2))

    def gradients(self, x: Tensor, slope: Tensor) -> dict[str, Tensor]:
        """The gradient of each parameter, from input and output slope."""
        return {"weight": torch.bmm(x.transpose(1, 2), slope), "bias": slope.sum(1, keepdim=True)}


class BatchNorm(nn.Module):
    """Batch normalisation of the last axis, per model; any number of axes between model and channel."""

    def __init__(self, models: int, channels: int, momentum: float = 0.1):
        super().__init__()
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(models, channels))
        self.bias = nn.Parameter(torch.zeros(models, channels))
        self.register_buffer("running_mean", torch.zeros(models, channels))
        self.register_buffer("running_var", torch.ones(models, channels))

    def initialise(self, generators: list[torch.Generator]) -> None:
        del generators  # nothing is drawn
        for value, tensor in ((1, self.weight), (0, self.bias), (0, self.running_mean), (1, self.running_var)):
            tensor.data.fill_(value)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            y = self._normalise(x if x.ndim == 4 else x[:, :, None], 1)
            return y if x.ndim == 4 else y[:, :, 0]
        shape = (len(self.weight), *[1] * (x.ndim - 2), -1)
        scale = self.weight * (self.running_var + EPSILON).rsqrt()
        return torch.addcmul((self.bias - self.running_mean * scale).view(shape), x, scale.view(shape))

    def pooled(self, x: Tensor, size: int) -> Tensor:
        """`max_pool` of what `forward` gives."""
        return self._normalise(x, size) if self.training else max_pool(self(x), size)

    def _normalise(self, x: Tensor, pool: int) -> Tensor:
        y, mean, variance = _NormalisedPool.apply(x, self.weight, self.bias, pool)
        with torch.no_grad():
            n = x[0, ..., 0].numel()
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (n / (n - 1)), self.momentum)
        return y

    def gradient_squares(self, x: Tensor, slope: Tensor) -> Tensor:
        """Squared norms [models, batch] of the gradients that each example alone has, in evaluation mode."""
        mean, scale = self.running_mean[:, None], (self.running_var + EPSILON).rsqrt()[:, None]
        rows = x.reshape(*x.shape[:2], -1, x.shape[-1])  # [models, batch, n, channels]
        scale, shift = _scale_and_shift((rows - mean[:, None]) * scale[:, None], slope)
        return scale.square().sum(2) + shift.square().sum(2)


class Dropout(nn.Module):
    """Sets a share of the values to zero while training, and scales up the others (Srivastava et al., JMLR 2014).

    `rate` [models] is 0 unless a defense sets it, and `draws`, uniform numbers [models, batch, width], are given anew for
    each step: without them, as in evaluation mode, nothing is dropped.
    """

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


class GroupNorm(nn.Module):
    """Group normalisation (Wu and He 2018) of the last axis: each example by itself, over its length and groups of channels.

    At most GROUPS groups, of at least GROUP_CHANNELS channels each: with fewer, an example without a length would lose
    what its channels say. Nothing is shared between the examples of a batch, in training or later.
    """

    def __init__(self, models: int, channels: int):
        super().__init__()
        most = max(1, min(GROUPS, channels // GROUP_CHANNELS))
        self.groups = next(g for g in range(most, 0, -1) if channels % g == 0)
        self.weight = nn.Parameter(torch.ones(models, channels))
        self.bias = nn.Parameter(torch.zeros(models, channels))

    def initialise(self, generators: list[torch.Generator]) -> None:
        del generators  # nothing is drawn
        self.weight.data.fill_(1)
        self.bias.data.fill_(0)

    def normalised(self, x: Tensor) -> Tensor:
        """x [models, batch, ..., channels] with mean 0 and variance 1 per example and group: [models, batch, n, channels]."""
        rows = x.reshape(*x.shape[:2], -1, x.shape[-1])
        rows = rows - self._of_groups(rows)
        return rows * torch.rsqrt(self._of_groups(rows.square()) + EPSILON)

    def _of_groups(self, rows: Tensor) -> Tensor:
        """Mean over length and group of [models, batch, n, channels], for each channel: [models, batch, 1, channels]."""
        means = rows.mean(2, keepdim=True).unflatten(-1, (self.groups, -1))
        return means.mean(-1, keepdim=True).expand_as(means).flatten(-2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.normalised(x).flatten(1, 2)
        return torch.addcmul(self.bias[:, None], y, self.weight[:, None]).reshape(x.shape)

    def pooled(self, x: Tensor, size: int) -> Tensor:
        """`max_pool` of what `forward` gives."""
        return max_pool(self(x), size)

    def gradient_squares(self, x: Tensor, slope: Tensor) -> Tensor:
        """Squared norms [models, batch] of the gradients that each example alone has."""
        scale, shift = _scale_and_shift(self.normalised(x), slope)
        return scale.square().sum(2) + shift.square().sum(2)

    def gradients(self, x: Tensor, slope: Tensor) -> dict[str, Tensor]:
        """The gradient of each parameter, from input and output slope."""
        scale, shift = _scale_and_shift(self.normalised(x), slope)
        return {"weight": scale.sum(1), "bias": shift.sum(1)}


def _scale_and_shift(normalised: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients [models, batch, channels] of scale and shift for each example; normalised: [models, batch, n, channels]."""
    slope = slope.reshape(normalised.shape)
    return (slope * normalised).sum(2), slope.sum(2)


NORMS = {"batch": BatchNorm, "group": GroupNorm}


def max_pool(x: Tensor, size: int) -> Tensor:
    """Maximum over `size` neighbours along the length of [models, batch, length, channels]; a remainder is dropped."""
    return _pool(x, size)[0]


def statistics_pool(x: Tensor) -> Tensor:
    """Mean and standard deviation over the length: [models, batch, length, c] -> [models, batch, 2c]."""
    mean = x.mean(2, keepdim=True)
    return torch.cat([mean[:, :, 0], torch.sqrt((x - mean).square().mean(2) + EPSILON)], dim=-1)


class StackedNetwork(nn.Module):
    """Base of all architectures: normalises the features, runs `body`, and masks classes that a model does not have.

    A subclass sets its layers in `build(models, frames, bins, classes)`, `classes` being one number per model, and maps
    normalised features [models, batch, frames, bins] to logits [models, batch, max(classes)] in `body`. Its layers of
    normalisation come from `normalisation`, so that they can be exchanged for ones that mix no examples.
    """

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

    def initialise(self, seeds: list[int]) -> None:
        """Draw the weights of model k from seeds[k]."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for layer in self.modules():
            if layer is not self and hasattr(layer, "initialise"):
                layer.initialise(generators)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [models, batch, classes] of features [models, batch, frames, bins], or of one batch for all models."""
        models = len(self.classes)
        x = x.expand(models, *x.shape[-3:])
        x = (x - self.mean[:, None, None]) / self.scale[:, None, None]
        return self.body(x).masked_fill(self.absent[:, None], -torch.inf)
