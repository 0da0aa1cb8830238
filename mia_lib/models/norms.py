"""Normalisation and pooling for K models at once."""

import torch
from torch import Tensor, nn

from mia_lib.models.layers import EPSILON, of_examples
from mia_lib.support import device

GROUPS, GROUP_CHANNELS = 8, 4


class CompiledNormalisedPool(torch.autograd.Function):
    """Batch normalisation, then the maximum over `pool` neighbours, of [models, batch, length, channels] on a CPU; of that
    the positive part where `rectified`.

    A channel's normalisation rises or falls with the sign of its weight, so the maximum is taken first and only what is left
    is scaled and shifted. `running`, mean and variance [models, channels], moves by `momentum` to those of x, by which x is
    normalised; without a momentum x is normalised by `running` itself.
    """

    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        pool: int,
        running: tuple[Tensor, Tensor],
        momentum: float | None,
        rectified: bool = False,
    ) -> Tensor:
        from mia_lib.models import kernels  # numba takes its time to load

        ctx.how, x = (pool, rectified, momentum is not None), x.contiguous()
        if momentum is None:
            mean, scale = running[0], (running[1] + EPSILON).sqrt()
        else:
            mean, scale = torch.empty_like(weight), torch.empty_like(weight)
            moved = map(kernels.array, running)
            kernels.moments(kernels.array(x), *moved, momentum, EPSILON, kernels.array(mean), kernels.array(scale))
        top = x.new_empty(*x.shape[:2], x.shape[2] // pool, x.shape[3])
        y = torch.empty_like(top)
        given = map(kernels.array, (x, weight, bias, mean, scale))
        kernels.normalised_maximum(*given, pool, rectified, kernels.array(top), kernels.array(y))
        ctx.save_for_backward(x, top, y, weight, mean, scale)
        return y

    @staticmethod
    def backward(ctx, slope: Tensor):
        from mia_lib.models import kernels

        x, top, y, weight, mean, scale = ctx.saved_tensors
        dx, dweight, dbias = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        given = map(kernels.array, (x, top, y, slope.contiguous(), weight, mean, scale))
        kernels.slope_of_normalised(*given, *ctx.how, *map(kernels.array, (dx, dweight, dbias)))
        return dx, dweight, dbias, None, None, None, None


class NormalisedPool(torch.autograd.Function):
    """The same from torch's own operations, on any device; always with a momentum."""

    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, bias: Tensor, pool: int, running: tuple[Tensor, Tensor], momentum: float
    ) -> Tensor:
        weight = weight[:, None, None]
        mean = x.mean((1, 2), keepdim=True)
        x = x - mean
        variance = x.square().mean((1, 2), keepdim=True)
        rate, sign = (variance + EPSILON).rsqrt(), torch.where(weight < 0, -1.0, 1.0).to(x.dtype)
        x *= rate * sign
        top, ctx.places = _pool(x, pool) if pool > 1 else (x, None)
        ctx.pool = pool
        ctx.save_for_backward(x, top, weight, rate, sign)
        n = x[0, ..., 0].numel()
        for moving, value in zip(running, (mean, variance * (n / (n - 1))), strict=True):
            moving.lerp_(value[:, 0, 0], momentum)
        return torch.addcmul(bias[:, None, None], top, weight.abs())

    @staticmethod
    def backward(ctx, slope: Tensor):
        x, top, weight, rate, sign = ctx.saved_tensors
        n = x.shape[1] * x.shape[2]
        down, tilt = slope.sum((1, 2), keepdim=True), (slope * top).sum((1, 2), keepdim=True)
        slope = slope * (weight * rate)
        dx = _pool_backward(slope, x, ctx.pool, ctx.places) if ctx.pool > 1 else slope
        dx.addcmul_(x, weight * rate * tilt / -n).sub_(weight * rate * down / n)
        return dx, (tilt * sign)[:, 0, 0], down[:, 0, 0], None, None, None


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


class BatchNorm(nn.Module):
    """Batch normalisation of the last axis, per model; any number of axes between model and channel."""

    running_mean: Tensor
    running_var: Tensor

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
        y = self.pooled(x if x.ndim == 4 else x[:, :, None], 1)
        return y if x.ndim == 4 else y[:, :, 0]

    def pooled(self, x: Tensor, size: int, rectified: bool = False) -> Tensor:
        """`max_pool` of what `forward` gives, its positive part (ReLU) where `rectified`."""
        running, momentum = (self.running_mean, self.running_var), self.momentum if self.training else None
        if self._forward_hooks and size > 1:  # who listens to this layer hears what it gives before anything is pooled
            y = max_pool(self(x), size)
        elif device.compiled(x):
            return CompiledNormalisedPool.apply(x, self.weight, self.bias, size, running, momentum, rectified)
        elif self.training:
            y = NormalisedPool.apply(x, self.weight, self.bias, size, running, momentum)
        else:
            scale = self.weight * (self.running_var + EPSILON).rsqrt()
            shift = self.bias - self.running_mean * scale
            y = torch.addcmul(shift[:, None, None], x, scale[:, None, None])
            y = max_pool(y, size) if size > 1 else y
        return y.relu() if rectified else y

    def gradient_squares(self, x: Tensor, slope: Tensor, copies: int = 1) -> Tensor:
        """Squared norms [models, batch] of the gradients that each example alone has, in evaluation mode; those of `copies`
        neighbours are added first."""
        mean, scale = self.running_mean[:, None], (self.running_var + EPSILON).rsqrt()[:, None]
        rows = x.reshape(*x.shape[:2], -1, x.shape[-1])  # [models, batch, n, channels]
        scale, shift = _scale_and_shift(of_examples((rows - mean[:, None]) * scale[:, None], copies), slope)
        return scale.square().sum(2) + shift.square().sum(2)


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

    def pooled(self, x: Tensor, size: int, rectified: bool = False) -> Tensor:
        """`max_pool` of what `forward` gives, its positive part (ReLU) where `rectified`."""
        y = max_pool(self(x), size)
        return y.relu() if rectified else y

    def gradient_squares(self, x: Tensor, slope: Tensor, copies: int = 1) -> Tensor:
        """Squared norms [models, batch] of the gradients that each example alone has; those of `copies` neighbours are added
        first."""
        scale, shift = _scale_and_shift(of_examples(self.normalised(x), copies), slope)
        return scale.square().sum(2) + shift.square().sum(2)

    def gradients(self, x: Tensor, slope: Tensor) -> dict[str, Tensor]:
        """The gradient of each parameter, from input and output slope."""
        scale, shift = _scale_and_shift(self.normalised(x), slope)
        return {"weight": scale.sum(1), "bias": shift.sum(1)}


def _scale_and_shift(normalised: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients [models, batch, channels] of scale and shift for each example; normalised: [models, batch, n, channels]."""
    slope = slope.reshape(normalised.shape)
    return (slope * normalised).sum(2), slope.sum(2)


NORMS: dict[str, type[BatchNorm] | type[GroupNorm]] = {"batch": BatchNorm, "group": GroupNorm}


def max_pool(x: Tensor, size: int) -> Tensor:
    """Maximum over `size` neighbours along the length of [models, batch, length, channels]; a remainder is dropped."""
    return _pool(x, size)[0]
