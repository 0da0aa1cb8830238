"""Features where training and queries read them: on the device if they fit, else computed anew from waveforms that do.

An |STFT| takes two to four times the memory of the int16 samples it is computed from. MFCC take a tenth of it, and fit.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mia_lib.features.named import make_feature
from mia_lib.support.device import free_memory
from mia_lib.support.errors import MiaError

if TYPE_CHECKING:
    from mia_lib.fragments.cutting import Fragments

SHARE = 0.5  # of a device's free memory that features may take
SIZES = {"cpu": 32}  # fragments transformed at once, by kind of device
OTHERS = 256


class Waveforms:
    """Features [N, frames, bins] computed whenever rows are asked for, from int16 samples on the device.

    As much of a tensor as those who take rows of it need: `shape`, `device`, `len`, `to` and rows by number or slice.
    """

    def __init__(self, name: str, fragments: "Fragments", hop: int, device: torch.device):
        self.device, self.transform = device, make_feature(name, hop, fragments.sample_rate).to(device)
        self.audio: np.ndarray | Tensor = fragments.audio  # memory-mapped
        if device.type != "cpu":
            self.audio = torch.empty(fragments.audio.shape, dtype=torch.int16, device=device)
            for start in range(0, len(self.audio), 4096):
                self.audio[start : start + 4096] = torch.from_numpy(np.array(fragments.audio[start : start + 4096]))
        self.shape = torch.Size([len(self.audio), *self[:1].shape[1:]])

    def __len__(self) -> int:
        return len(self.audio)

    def to(self, device: str | torch.device) -> "Waveforms":
        """Itself: it is where it is needed already."""
        if torch.device(device).type != self.device.type:
            raise MiaError(f"the waveforms are on {self.device}, so models cannot be trained on {device}")
        return self

    @torch.no_grad()
    def __getitem__(self, rows: Tensor | np.ndarray | slice) -> Tensor:
        """Features of the fragments `rows`, of any shape: [*shape, frames, bins], as they would be stored."""
        if isinstance(self.audio, np.ndarray):
            waves = torch.from_numpy(np.array(self.audio[rows.numpy() if isinstance(rows, Tensor) else rows]))
        else:
            waves = self.audio[torch.as_tensor(rows, device=self.device) if isinstance(rows, np.ndarray) else rows]
        parts = waves.flatten(0, -2).split(SIZES.get(self.device.type, OTHERS))
        values = torch.cat([self.transform(part / 32768).to(self.transform.storage) for part in parts])
        return values.unflatten(0, waves.shape[:-1])


def resident(features: Tensor, name: str, fragments: "Fragments", hop: int, device: torch.device) -> Tensor | Waveforms:
    """The features on the device, or `Waveforms` where they would take more than SHARE of its free memory.

    features: [N, frames, bins], the stored features `name` of all fragments.
    """
    if features.numel() * features.element_size() <= SHARE * free_memory(device):
        return features.to(device)
    return Waveforms(name, fragments, hop, device)
