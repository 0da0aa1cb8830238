"""Augmented audio: altered copies of fragments for training, shifted, put into a room, amid noise, louder or softer.

Waveforms are float tensors [batch, samples]; each function changes every row by an amount of its own.
"""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from mia_lib.support.draws import generator

SHIFT, REVERBERATION, SNR, GAIN = (-0.1, 0.1), (0.05, 0.4), (5.0, 30.0), (-6.0, 6.0)  # s, s, dB, dB


def shift(waves: Tensor, samples: Tensor) -> Tensor:
    """Delay each row by a whole number of samples, int64 [batch]; what leaves at one end comes back at the other."""
    length = waves.shape[1]
    return waves.gather(1, (torch.arange(length) - samples[:, None]) % length)


def reverberate(waves: Tensor, seconds: Tensor, noise: Tensor, rate: int = 16_000) -> Tensor:
    """Add to each row a tail of reflections that falls by 60 dB in `seconds` [batch] and holds half the energy.

    The room's response is the direct sound, then decaying white `noise` [batch, length of the tail] (Polack's model).
    The energy of each row is kept.
    """
    time = torch.arange(noise.shape[1]) / rate
    tail = noise * torch.exp(-math.log(1000) * time / seconds[:, None])
    tail = tail / tail.norm(dim=1, keepdim=True)
    size = _fast_length(waves.shape[1] + noise.shape[1])
    wet = torch.fft.irfft(torch.fft.rfft(waves, size) * torch.fft.rfft(tail, size), size)[:, : waves.shape[1]]
    return with_energy_of(waves + wet, waves)


def _fast_length(least: int) -> int:
    """The smallest length of at least `least` whose Fourier transform is fast: a power of two times 1, 3, 9 or 27."""
    return min(odd * 2 ** max(0, math.ceil(math.log2(least / odd))) for odd in (1, 3, 9, 27))


def add_noise(waves: Tensor, snr: Tensor, noise: Tensor) -> Tensor:
    """Add `noise` [batch, samples] to each row at a signal-to-noise ratio `snr` [batch] in decibels."""
    return waves + with_energy_of(noise, waves) * 10 ** (-snr[:, None] / 20)


def amplify(waves: Tensor, gain: Tensor) -> Tensor:
    """Change the level of each row by `gain` [batch] decibels; what would exceed full scale is clipped."""
    return (waves * 10 ** (gain[:, None] / 20)).clamp(-1, 1)


def with_energy_of(waves: Tensor, model: Tensor) -> Tensor:
    """Each row of `waves`, scaled to the energy of the same row of `model`; silence stays silent."""
    return waves * (model.norm(dim=1, keepdim=True) / waves.norm(dim=1, keepdim=True).clamp_min(1e-12))


def altered(waves: Tensor, rng: np.random.Generator, rate: int = 16_000) -> Tensor:
    """All four alterations of each row, their amounts uniform within this module's ranges and drawn from `rng`."""
    batch, samples = waves.shape

    def amounts(span: tuple[float, float]) -> Tensor:
        return torch.from_numpy(rng.uniform(*span, batch).astype(np.float32))

    def white(length: int) -> Tensor:
        return torch.from_numpy(rng.random((batch, length), dtype=np.float32) - 0.5) * 12**0.5  # variance one

    waves = shift(waves, (amounts(SHIFT) * rate).long())
    waves = reverberate(waves, amounts(REVERBERATION), white(round(REVERBERATION[1] * rate)), rate)
    return amplify(add_noise(waves, amounts(SNR), white(samples)), amounts(GAIN))


@dataclasses.dataclass(frozen=True)
class AlteredAudio:
    """Altered copies of audio [N, samples], made when read: row c·N + i of [copies · N, samples] is copy c of row i."""

    audio: np.ndarray  # int16
    copies: int
    seed: int
    rate: int

    def __len__(self) -> int:
        return self.copies * len(self.audio)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Float32 samples on the scale of 16-bit integers; what is drawn follows from the seed and the first row."""
        first, stop, _ = rows.indices(len(self))
        source = self.audio[np.arange(first, stop) % len(self.audio)]
        waves = torch.from_numpy(source.astype(np.float32) / 32768)
        return (altered(waves, generator(self.seed, "altered copies", first), self.rate) * 32768).numpy()
