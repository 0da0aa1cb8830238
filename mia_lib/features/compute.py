"""Compute one feature for all fragments, once: batched on the device, cached on disk, memory-mapped when read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from mia_lib.features.base import FEATURES
from mia_lib.support.cache import Cache
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
    name: str, audio: Audio, hop: int, device: str | torch.device = "cpu", sample_rate: int = 16_000
) -> Iterator[tuple[int, Tensor]]:
    """Yield (start, features [batch, frames, bins] on the CPU) for `audio` [N, samples], batch by batch."""
    tune()
    transform = FEATURES.get(name)(hop, sample_rate).to(device)
    for start in range(0, len(audio), BATCH):
        waves = audio[start : start + BATCH]
        if not isinstance(waves, Tensor):
            waves = torch.from_numpy(np.asarray(waves, dtype=np.float32) / 32768)
        with torch.no_grad():
            yield start, transform(waves.to(device)).to("cpu", transform.storage)


def store(
    folder: Path, name: str, versions: Sequence[Audio], fragments: "Fragments", hop: int, device: str | torch.device
) -> None:
    """Write the feature of several versions of equally many fragments, [versions, n, frames, bins], into `folder`."""
    out, count = None, len(versions[0])
    label = f"{name} of {count} fragments" + (f", {len(versions)} versions" if len(versions) > 1 else "")
    with progress(label, count * len(versions), "fragment") as bar:
        for number, audio in enumerate(versions):
            for start, values in extract(name, audio, hop, device, fragments.sample_rate):
                if out is None:
                    shape = (len(versions), count, *values.shape[1:])
                    out = np.lib.format.open_memmap(folder / FILE, "w+", values.numpy().dtype, shape)
                out[number, start : start + len(values)] = values.numpy()
                bar.update(len(values))
    if out is not None:
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

    params = {"feature": name, "fragments": fragments.key, "hop": hop, "device": torch.device(device).type}
    return cache.stage(f"features-{name}", params, build, [FEATURES.get(name)])


def compute_features(
    name: str, fragments: "Fragments", hop: int, cache: Cache, device: str | torch.device = "cpu"
) -> Tensor:
    """The feature `name` of all fragments as one tensor [N, frames, bins], memory-mapped from the stage cache.

    hop: in samples. Raises UsageError for an unknown feature.
    """
    return load(feature_stage(name, fragments, hop, cache, device))[0]
