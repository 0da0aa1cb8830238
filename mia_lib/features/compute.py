"""Compute one feature for all fragments, once: batched on the device, cached on disk, memory-mapped when read."""

import sys
from pathlib import Path

import numpy as np
import torch

from mia_lib.features import FEATURES
from mia_lib.process import tune
from mia_lib.progress import progress
from mia_lib.stages import Cache

BATCH = 32  # fragments; small batches stay in the processor's cache and are the fastest on the CPU


def extract(name: str, audio: np.ndarray, hop: int, device: str | torch.device = "cpu", sample_rate: int = 16_000):
    """Yield (start, features [batch, frames, bins] on the CPU) for int16 `audio` [N, samples], batch by batch."""
    tune()
    transform = FEATURES.get(name)(hop, sample_rate).to(device)
    for start in range(0, len(audio), BATCH):
        waves = torch.from_numpy(np.asarray(audio[start : start + BATCH], dtype=np.float32) / 32768)
        with torch.no_grad():
            yield start, transform(waves.to(device)).to("cpu", transform.storage)


def compute_features(name: str, fragments, hop: int, cache: Cache, device: str | torch.device = "cpu") -> torch.Tensor:
    """The feature `name` of all fragments as one tensor [N, frames, bins], memory-mapped from the stage cache.

    `fragments` has `audio` (int16 [N, samples]), `key` and `sample_rate`; `hop` is in samples. Raises UsageError for an
    unknown feature.
    """
    module = sys.modules[FEATURES.get(name).__module__].__name__

    def build(folder: Path, _scratch: Path) -> None:
        out = None
        with progress(f"{name} of {len(fragments.audio)} fragments", len(fragments.audio), "fragment") as bar:
            for start, values in extract(name, fragments.audio, hop, device, fragments.sample_rate):
                if out is None:
                    shape = (len(fragments.audio), *values.shape[1:])
                    out = np.lib.format.open_memmap(folder / "features.npy", "w+", values.numpy().dtype, shape)
                out[start : start + len(values)] = values.numpy()
                bar.update(len(values))
        out.flush()

    params = {"feature": name, "fragments": fragments.key, "hop": hop, "device": torch.device(device).type}
    folder = cache.stage(f"features-{name}", params, ["mia_lib.features.compute", module], build)
    return torch.from_numpy(np.load(folder / "features.npy", mmap_mode="c"))
