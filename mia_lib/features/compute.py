"""Compute one feature for all fragments, once: batched on the device, cached on disk, memory-mapped when read."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from mia_lib.features.named import feature_kinds, feature_params, make_feature, stage_name
from mia_lib.support.cache import Cache
from mia_lib.support.cores import side_by_side
from mia_lib.support.device import tune
from mia_lib.support.progress import progress

if TYPE_CHECKING:
    from mia_lib.fragments.cutting import Fragments

BATCH = 32  # fragments; small batches stay in the processor's cache and are the fastest on the CPU
FILE = "features.npy"


class Audio(Protocol):
    """Waveforms by slices of rows: int16 (or float on that scale) as an array, or float in [-1, 1] as a tensor."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice) -> np.ndarray | Tensor: ...


def extract(
    name: str, versions: Sequence[Audio], hop: int, device: str | torch.device = "cpu", sample_rate: int = 16_000
) -> Tensor:
    """The feature `name` of several versions of equally many waveforms, [versions, n, frames, bins] on the CPU."""
    return torch.from_numpy(_extract(name, versions, hop, torch.device(device), sample_rate, np.empty))


def _extract(
    name: str,
    versions: Sequence[Audio],
    hop: int,
    device: torch.device,
    sample_rate: int,
    allocate: Callable[[tuple[int, ...], np.dtype], np.ndarray],
) -> np.ndarray:
    """`extract` into an array of a shape and type that are known after the first batch; a batch is one core's task."""
    tune()
    transform, count = make_feature(name, hop, sample_rate).to(device), len(versions[0])
    label = f"{name} of {count} fragments" + (f", {len(versions)} versions" if len(versions) > 1 else "")

    @torch.no_grad()
    def batch(number: int, start: int) -> np.ndarray:
        waves = versions[number][start : start + BATCH]
        if not isinstance(waves, Tensor):
            waves = torch.from_numpy(np.asarray(waves, dtype=np.float32) / 32768)
        return transform(waves.to(device)).to("cpu", transform.storage).numpy()

    one = batch(0, 0)
    out = allocate((len(versions), count, *one.shape[1:]), one.dtype)

    def write(task: tuple[int, int]) -> None:
        number, start = task
        with progress(label, min(BATCH, count - start), "fragment") as bar:
            out[number, start : start + BATCH] = batch(number, start)
            bar.update(min(BATCH, count - start))

    tasks = [(number, start) for number in range(len(versions)) for start in range(0, count, BATCH)]
    side_by_side(write, tasks, None if device.type == "cpu" else 1)
    return out


def store(
    folder: Path, name: str, versions: Sequence[Audio], fragments: "Fragments", hop: int, device: str | torch.device
) -> None:
    """Write what `extract` gives into `folder`."""

    def on_disk(shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
        out = np.lib.format.open_memmap(folder / FILE, "w+", dtype, shape)
        if hasattr(os, "posix_fallocate"):  # a disk that is too full says so now; later the process would be killed
            with open(folder / FILE, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        return out

    out = _extract(name, versions, hop, torch.device(device), fragments.sample_rate, on_disk)
    assert isinstance(out, np.memmap)  # as `on_disk` made it
    out.flush()


def load(folder: Path) -> Tensor:
    """What `store` wrote, [versions, n, frames, bins], memory-mapped."""
    return torch.from_numpy(np.load(folder / FILE, mmap_mode="c"))


def feature_stage(
    name: str, fragments: "Fragments", hop: int, cache: Cache, device: str | torch.device = "cpu"
) -> Path:
    """The cached stage with the feature `name` of all fragments, which `load` reads; raises UsageError for an unknown one."""

    def build(folder: Path, _scratch: Path) -> None:
        store(folder, name, [fragments.audio], fragments, hop, device)

    params = feature_params(name, hop) | {"fragments": fragments.key, "device": torch.device(device).type}
    return cache.stage(f"features-{stage_name(name)}", params, build, feature_kinds(name))


def compute_features(
    name: str, fragments: "Fragments", hop: int, cache: Cache, device: str | torch.device = "cpu"
) -> Tensor:
    """The feature `name` of all fragments as one tensor [N, frames, bins], memory-mapped from the stage cache.

    hop: in samples. Raises UsageError for an unknown feature.
    """
    return load(feature_stage(name, fragments, hop, cache, device))[0]
