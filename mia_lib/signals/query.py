"""Asks a stack of models about fragments."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from mia_lib.support.cores import side_by_side
from mia_lib.support.device import at_once, tune
from mia_lib.support.progress import progress

if TYPE_CHECKING:
    from mia_lib.features.resident import Waveforms
    from mia_lib.models.network import StackedNetwork


def query_models(
    network: "StackedNetwork", features: "torch.Tensor | Waveforms", device: str | torch.device = "cpu"
) -> np.ndarray:
    """Logits of every model on every fragment, float32 [models, N, classes]; `features` is [N, frames, bins].

    Every fragment is answered by itself (normalisation in evaluation mode), in chunks of bounded memory.
    """
    tune()
    network = network.to(device).eval()
    models, (n, frames, bins) = len(network.classes), features.shape
    size = at_once(models * frames * bins, device)
    out = np.empty((models, n, max(network.classes)), dtype=np.float32)

    @torch.no_grad()
    def ask(start: int) -> None:
        batch = features[start : start + size].to(device, network.mean.dtype)
        with progress(f"query {models} models", len(batch), "fragment") as bar:
            out[:, start : start + size] = network(batch).float().cpu().numpy()
            bar.update(len(batch))

    side_by_side(ask, range(0, n, size), None if torch.device(device).type == "cpu" else 1)
    return out


@torch.no_grad()
def query_each(
    network: "StackedNetwork",
    features: "torch.Tensor | Waveforms",
    rows: np.ndarray,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Logits of every model on fragments of its own, float32 [models, n, classes]; rows: int64 [models, n], of `features`."""
    network = network.to(device).eval()
    models, (_, frames, bins) = len(network.classes), features.shape
    size, indices = at_once(models * frames * bins, device), torch.from_numpy(rows)
    parts = [features[part.to(features.device)].to(device, network.mean.dtype) for part in indices.split(size, 1)]
    return torch.cat([network(part) for part in parts], 1).float().cpu().numpy()
