"""Normalisation and pooling for K models at once."""

import torch
from torch import Tensor, nn

from mia_lib.models.layers import EPSILON, of_examples

GROUPS, GROUP_CHANNELS = 8, 4


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

    def pooled(self, x: Tensor, size: int) -> Tensor:
        """`max_pool` of what `forward` gives."""
        return max_pool(self(x), size)

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
