"""The passes over memory that a stack of small models waits for, compiled for one core (numba): each reads and writes every
activation as seldom as it can, model by model, so that one model's stay in the core's own cache.

Arrays are of one type, float32 or float64, contiguous, and [models, batch, length, channels] where nothing else is said. The
loops run over channels in memory's order, and nothing is added in another order than it is written: so the same bits come
out whatever else is in the stack. They wait for no lock of the interpreter.
"""

from collections.abc import Callable

import numpy as np
from numba import njit, types, void
from numba.core.types import Array, Float
from numba.core.typing import Signature
from torch import Tensor


def _compiled(*kinds: str) -> Callable[[Callable], Callable]:
    """A decorator that compiles a function for float32 and float64, and keeps it for the next process where there is a place
    to write. kinds: of its arguments, an array's number of axes or what numba calls a single value.

    All that is ever compiled is named beforehand: processes that fill the same folder at once then write the same files.
    """

    def signature(kind: Float) -> Signature:
        return void(*(Array(kind, int(k), "C") if k.isdigit() else getattr(types, k) for k in kinds))

    def compiled(function: Callable) -> Callable:
        signatures = [signature(types.float32), signature(types.float64)]
        try:
            return njit(signatures, nogil=True, error_model="numpy", cache=True)(function)
        except RuntimeError:  # neither beside the source nor in the user's folder
            return njit(signatures, nogil=True, error_model="numpy")(function)

    return compiled


def array(tensor: Tensor) -> np.ndarray:
    """A tensor on the CPU as an array of the same memory; functions here refuse one that is not contiguous (TypeError)."""
    return tensor.detach().numpy()


@_compiled("4", "2", "2", "float64", "float64", "2", "2")
def moments(x, running_mean, running_variance, momentum, epsilon, mean, scale):
    """Write mean and scale [models, channels], the root of variance + epsilon, of x over batch and length; running mean and
    variance, the latter without bias, move there by a share, the momentum."""
    models, batch, length, channels = x.shape
    own, v = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    fours, n = length - length % 4, batch * length
    for k in range(models):
        m = mean[k]
        m[:] = 0
        for b in range(batch):
            own[:] = 0
            for i in range(0, fours, 4):
                for c in range(channels):
                    own[c] += (x[k, b, i, c] + x[k, b, i + 1, c]) + (x[k, b, i + 2, c] + x[k, b, i + 3, c])
            for i in range(fours, length):
                for c in range(channels):
                    own[c] += x[k, b, i, c]
            for c in range(channels):
                m[c] += own[c]
        for c in range(channels):
            m[c] /= n
            v[c] = 0
        for b in range(batch):
            own[:] = 0
            for i in range(0, fours, 4):
                for c in range(channels):
                    d0, d1 = x[k, b, i, c] - m[c], x[k, b, i + 1, c] - m[c]
                    d2, d3 = x[k, b, i + 2, c] - m[c], x[k, b, i + 3, c] - m[c]
                    own[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
            for i in range(fours, length):
                for c in range(channels):
                    d0 = x[k, b, i, c] - m[c]
                    own[c] += d0 * d0
            for c in range(channels):
                v[c] += own[c]
        for c in range(channels):
            v[c] /= n
            scale[k, c] = np.sqrt(v[c] + epsilon)
            running_mean[k, c] += momentum * (m[c] - running_mean[k, c])
            running_variance[k, c] += momentum * (v[c] * (n / (n - 1)) - running_variance[k, c])


@_compiled("4", "2", "2", "2", "2", "int64", "boolean", "4", "4")
def normalised_maximum(x, weight, bias, mean, scale, pool, rectified, top, y):
    """Write the largest of `pool` neighbours of (x - mean) / scale * weight + bias, its positive part where `rectified`, as y
    [models, batch, length // pool, channels], and as `top` what it was in x; weight, bias, mean and scale: [models,
    channels]."""
    models, batch, length, channels = x.shape
    least = x.dtype.type(0 if rectified else -np.inf)
    sign, rate, shift = np.empty(channels, x.dtype), np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    for k in range(models):
        for c in range(channels):
            sign[c] = -1 if weight[k, c] < 0 else 1
            rate[c] = weight[k, c] / scale[k, c]
            shift[c] = bias[k, c] - mean[k, c] * rate[c]
        for b in range(batch):
            for p in range(length // pool):
                i = p * pool
                if pool == 4:
                    for c in range(channels):
                        v0, v1 = x[k, b, i, c] * sign[c], x[k, b, i + 1, c] * sign[c]
                        v2, v3 = x[k, b, i + 2, c] * sign[c], x[k, b, i + 3, c] * sign[c]
                        v0 = v0 if v0 > v1 else v1
                        v2 = v2 if v2 > v3 else v3
                        top[k, b, p, c] = (v0 if v0 > v2 else v2) * sign[c]
                else:
                    for c in range(channels):
                        top[k, b, p, c] = x[k, b, i, c]
                    for j in range(i + 1, i + pool):
                        for c in range(channels):
                            if x[k, b, j, c] * sign[c] > top[k, b, p, c] * sign[c]:
                                top[k, b, p, c] = x[k, b, j, c]
                for c in range(channels):
                    value = top[k, b, p, c] * rate[c] + shift[c]
                    y[k, b, p, c] = least if value < least else value  # what is no number stays none


@_compiled("4", "4", "4", "4", "2", "2", "2", "int64", "boolean", "boolean", "4", "2", "2")
def slope_of_normalised(x, top, y, slope, weight, mean, scale, pool, rectified, moving, dx, dweight, dbias):
    """Write the slopes of x, weight and bias, where `slope` is that of y of `normalised_maximum`; mean and scale are
    those of x itself if they are `moving` with it, else constants."""
    models, batch, length, channels = x.shape
    least = x.dtype.type(0 if rectified else -np.inf)
    down, tilt = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    rate, level, rest = np.empty(channels, x.dtype), np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    n, zero = batch * length, slope.dtype.type(0)
    for k in range(models):
        m = mean[k]
        dweight[k] = 0
        dbias[k] = 0
        for b in range(batch):
            down[:] = 0
            tilt[:] = 0
            for p in range(length // pool):
                for c in range(channels):
                    own = zero if y[k, b, p, c] <= least else slope[k, b, p, c]
                    down[c] += own
                    tilt[c] += own * (top[k, b, p, c] - m[c])
            for c in range(channels):
                dbias[k, c] += down[c]
                dweight[k, c] += tilt[c] / scale[k, c]
        for c in range(channels):  # dx = slope where x is the top, and level + tilt * x everywhere
            rate[c] = weight[k, c] / scale[k, c]
            tilt[c] = -rate[c] * dweight[k, c] / scale[k, c] / n if moving else zero
            level[c] = -rate[c] * dbias[k, c] / n - tilt[c] * m[c] if moving else zero
        for b in range(batch):
            for p in range(length // pool):
                for c in range(channels):
                    rest[c] = zero if y[k, b, p, c] <= least else slope[k, b, p, c] * rate[c]
                for i in range(p * pool, p * pool + pool):
                    for c in range(channels):
                        value = x[k, b, i, c]
                        own = rest[c] if value == top[k, b, p, c] else zero  # of equal neighbours the first
                        rest[c] -= own
                        dx[k, b, i, c] = value * tilt[c] + level[c] + own
            for i in range(length - length % pool, length):
                for c in range(channels):
                    dx[k, b, i, c] = x[k, b, i, c] * tilt[c] + level[c]


@_compiled("3", "int64", "int64", "int64", "int64", "4")
def windows(x, channels, kernel, padding, dilation, seen):
    """Write what each output of a convolution sees, [models, batch, outputs, kernel * channels], zeros outside of x, which is
    [models, batch, length * channels]."""
    models, batch, size = x.shape
    taps = kernel if dilation == 1 else 1  # that lie side by side in x
    width = taps * channels
    for k in range(models):
        for b in range(batch):
            for o in range(seen.shape[2]):
                for t in range(0, kernel, taps):
                    start = (o + t * dilation - padding) * channels
                    to = seen[k, b, o, t * channels : t * channels + width]
                    first = min(max(-start, 0), width)
                    last = max(min(width, size - start), first)
                    inside, there = to[first:last], x[k, b, start + first : start + last]
                    for c in range(first):
                        to[c] = 0
                    for c in range(len(there)):  # places that are counted from 0 are copied many at once
                        inside[c] = there[c]
                    for c in range(last, width):
                        to[c] = 0


@_compiled("4", "int64", "int64", "int64", "4")
def slope_of_windows(slope, kernel, padding, dilation, dx):
    """Write the slope of x, [models, batch, length, channels], where `slope` is that of what `windows` writes."""
    models, batch, length, channels = dx.shape
    for k in range(models):
        for b in range(batch):
            for i in range(length):
                own = dx[k, b, i]
                for c in range(channels):
                    own[c] = 0
                for t in range(kernel):
                    o = i - t * dilation + padding
                    if 0 <= o < slope.shape[2]:
                        seen = slope[k, b, o, t * channels : (t + 1) * channels]
                        for c in range(channels):
                            own[c] += seen[c]


@_compiled("2", "2", "2", "2", "1", "1")
def adam(moved, slope, mean, square, rates, constants):
    """One step of Adam on [models, n], with a learning rate for each model.

    constants: which share of the slope the first moment takes; what the second keeps of itself, and takes of the slope's
    square; by what both are multiplied, the second's root, so that they begin without bias; what is added to that root.
    """
    models, n = moved.shape
    share, kept, added, mean_rate, root_rate, floor = constants
    for k in range(models):
        rate = rates[k] * mean_rate
        for i in range(n):
            d = slope[k, i]
            m = mean[k, i] + share * (d - mean[k, i])
            v = kept * square[k, i] + added * d * d
            mean[k, i] = m
            square[k, i] = v
            moved[k, i] -= rate * m / (np.sqrt(v) * root_rate + floor)
