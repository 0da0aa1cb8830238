"""Altered versions of a fragment that a person still recognises, in the order in which an attacker asks for them.

A model that has memorised a fragment answers alike on its altered versions: attacks that ask several times use this, and
so do attacks that see nothing but the answered speaker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torchaudio.functional as audio
from torch import Tensor

from mia_lib.corpora.synthesis.rooms import impulse_responses

Perturbation = Callable[[Tensor, Tensor, int], Tensor]
"""Waveforms float [batch, samples], the fragments' row numbers int64 [batch] and a seed -> waveforms of the same shape.

An altered version follows from its own waveform, row number and seed: it does not depend on the batch it is in.
"""


def fill(waves: Tensor, length: int) -> Tensor:
    """The first `length` samples of each waveform, repeated from its start where it is shorter."""
    return waves[:, torch.arange(length, device=waves.device) % waves.shape[1]]


def shift(waves: Tensor, rows: Tensor, seed: int, share: float) -> Tensor:
    """Later by a share of the fragment, earlier where negative; what leaves at one end comes in at the other."""
    return torch.roll(waves, round(share * waves.shape[1]), dims=1)


def gain(waves: Tensor, rows: Tensor, seed: int, decibels: float) -> Tensor:
    """Louder by so many decibels."""
    return waves * 10 ** (decibels / 20)


def crop(waves: Tensor, rows: Tensor, seed: int, share: float) -> Tensor:
    """The middle `share` of the fragment, repeated to its length."""
    length = waves.shape[1]
    start = round((1 - share) / 2 * length)
    return fill(waves[:, start : length - start], length)


def speed(waves: Tensor, rows: Tensor, seed: int, percent: int) -> Tensor:
    """Played at so many percent of its speed, which also moves the pitch; cut or repeated to its length."""
    return fill(audio.resample(waves, percent, 100), waves.shape[1])


def room(waves: Tensor, rows: Tensor, seed: int, name: str, microphone: int) -> Tensor:
    """As a far microphone of a simulated room hears it, from the first sound on, as loud as before."""
    simulated = impulse_responses(name)[microphone][0]
    response = torch.from_numpy(simulated[np.abs(simulated).argmax() :]).to(waves)
    heard = audio.fftconvolve(waves, response[None])[:, : waves.shape[1]]
    power = heard.square().mean(1, keepdim=True)
    return heard * (waves.square().mean(1, keepdim=True) / power.clamp_min(1e-20)).sqrt()


def scramble(x: Tensor) -> Tensor:
    """A hash of 32-bit numbers kept in int64 (multiply and shift; constants of the public hash prospector)."""
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x735A2D97) & 0xFFFFFFFF
    return x ^ (x >> 15)


def white(rows: Tensor, samples: int, seed: int, stream: int) -> Tensor:
    """White noise of variance one (uniform), float32 [batch, samples]: every number follows from its place alone."""
    key = scramble(scramble(torch.full_like(rows, seed % 2**32)) ^ stream)
    key = scramble(key ^ (rows & 0xFFFFFFFF))
    drawn = scramble(scramble(torch.arange(samples, device=rows.device)) ^ key[:, None])
    return ((drawn.double() + 0.5) / 2**32 - 0.5).float() * 12**0.5


def noise(waves: Tensor, rows: Tensor, seed: int, snr: int) -> Tensor:
    """White noise added, `snr` decibels below the fragment's mean power."""
    deviation = (waves.square().mean(1, keepdim=True) * 10 ** (-snr / 10)).sqrt()
    return waves + deviation * white(rows, waves.shape[1], seed, stream=snr)


PERTURBATIONS: dict[str, Perturbation] = {
    "later": partial(shift, share=1 / 30),  # 100 ms of 3 s
    "earlier": partial(shift, share=-1 / 30),
    "quieter": partial(gain, decibels=-6),
    "noise_30": partial(noise, snr=30),
    "noise_20": partial(noise, snr=20),
    "noise_10": partial(noise, snr=10),
    "crop": partial(crop, share=0.8),
    "slower": partial(speed, percent=95),
    "faster": partial(speed, percent=105),
    "room": partial(room, name="rm4", microphone=2),
    "noise_5": partial(noise, snr=5),
    "halves_swapped": partial(shift, share=1 / 2),
}


@dataclass(frozen=True)
class PerturbedAudio:
    """One perturbed version of some fragments, made when read: waveforms float32 [n, samples] in [-1, 1] on a device.

    chosen: `audio` holds the chosen fragments alone, in the order of `rows`.
    """

    audio: np.ndarray  # int16 [N, samples], or [n, samples] if chosen
    rows: np.ndarray  # int64 [n]
    function: Perturbation
    seed: int
    device: str | torch.device = "cpu"
    chosen: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Tensor:
        rows = self.rows[part]
        samples = self.audio[part if self.chosen else rows]
        waves = torch.from_numpy(samples.astype(np.float32) / 32768).to(self.device)
        with torch.no_grad():
            return self.function(waves, torch.from_numpy(rows).to(self.device), self.seed)
