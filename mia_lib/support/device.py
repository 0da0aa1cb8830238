"""Settings of the whole process that pay in features, training and querying, so that nobody needs to know them."""

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache

import torch

from mia_lib.support import limits
from mia_lib.support.errors import MiaError, UsageError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's mallopt


@cache
def tune() -> None:
    """Denormal numbers count as zero, freed memory is kept for the next step, and matrix products of float32 on CUDA round
    their factors to 11 bits (TF32); done once, harmless where unknown.

    Squared gradients of settled models become denormal, which makes arithmetic several times slower. And glibc gives blocks
    of the size of a stack's activations back to the system, which clears every page again at every step. Products rounded
    like TF32's on a CPU left test accuracy where it was: 27 models of three seeds changed by 0.0000 ± 0.0007 on average.
    """
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = True
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # not on systems with another C library
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def compiled(tensor: torch.Tensor) -> bool:
    """Whether passes over a tensor are those that are compiled for a CPU (`models.kernels`), not torch's own operations."""
    return tensor.is_cpu and tensor.dtype in (torch.float32, torch.float64)


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on a device; on the CPU no more than the job is allowed."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else limits.memory()


def clock_of(device: torch.device) -> Callable[[], float]:
    """What tells how long work on a device takes, in seconds: where one core does it, its processor time, which other work on
    the machine does not lengthen; else the clock."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.thread_time if alone else time.monotonic


def _use_own_cores() -> None:
    """No more threads than cores that are allowed: torch does not know of quotas, and its threads would take turns."""
    if torch.get_num_threads() > limits.cores():
        torch.set_num_threads(limits.cores())


def choose_device(name: str = "auto") -> torch.device:
    """`auto` takes CUDA where there is one; raises MiaError when CUDA is asked for and missing, UsageError for nonsense."""
    _use_own_cores()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MiaError(f"device {name!r} was asked for, but there is no such CUDA device here: use --device cpu")
    return device


CHUNK_VALUES = {"cpu": 1_000_000, "cuda": 8_000_000}
"""Feature values in one query, over all models. What a processor computes on the way is then about as large as its cache;
on a graphics card, of whatever make, a few hundred MB."""


def at_once(values: int, device: str | torch.device) -> int:
    """How many fragments are asked about in one query, of so many feature values each over all models."""
    return max(1, CHUNK_VALUES["cpu" if torch.device(device).type == "cpu" else "cuda"] // values)
