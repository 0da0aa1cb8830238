"""What recordings sound like, in numbers that no model was asked for: by these the two sides of an audit should not differ.

A classifier that tells members from non-members by them has found another microphone, room, codec or day, and so may any
attack (the blind baseline of Das et al. 2024, arXiv 2406.16201).
"""

from collections.abc import Sequence

import numpy as np
import torch

from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.features.base import FEATURES
from mia_lib.features.summary import summary_vectors
from mia_lib.support.cores import side_by_side
from mia_lib.support.progress import progress

FRAME, MFCC_HOP, COEFFICIENTS = 512, 512, 20  # samples, samples
BANDS = 16  # of 500 Hz
QUIET = 35.0  # dB below the loudest frames: a pause
SHARES = (0.85, 0.95, 0.99)  # of the energy, below a roll-off
EPSILON = 1e-10  # of full scale squared: below the rounding to 16 bits
TASK = 32  # recordings

LEVELS = ("level", "peak", "noise_floor", "loudest_frames", "silence_share", "clipped_share", "offset", "log_seconds")
STATISTICS = (
    *LEVELS,
    *(f"roll_off_{share:.0%}" for share in SHARES),
    *(f"band_{band * 500}_hz" for band in range(BANDS)),
    *(f"mfcc_{kind}_{i}" for kind in ("mean", "deviation") for i in range(COEFFICIENTS)),
)
"""Names of the F statistics, in their order."""


def sound_statistics(signals: Sequence[np.ndarray]) -> np.ndarray:
    """Statistics of N recordings, int16 [T] at 16 kHz each and none empty: float64 [N, F], in the order of STATISTICS."""
    transform = FEATURES.get("mfcc")(MFCC_HOP, SAMPLE_RATE)
    out = np.empty((len(signals), len(STATISTICS)))

    @torch.no_grad()
    def describe(start: int) -> None:
        rows = range(start, min(start + TASK, len(signals)))
        with progress("statistics of the sound", len(rows), "recording") as bar:
            for i in rows:
                wave = signals[i].astype(np.float32) / 32768
                mfcc = summary_vectors(transform(torch.from_numpy(wave)[None]))[0]
                out[i] = np.concatenate([levels(wave), spectrum(wave), mfcc])
                bar.update()

    side_by_side(describe, range(0, len(signals), TASK))
    return np.nan_to_num(out)


def levels(wave: np.ndarray) -> np.ndarray:
    """LEVELS of a waveform [T] in [-1, 1]: dB of full scale, shares of frames and samples, full scales, log of seconds."""
    energy = decibels(np.square(_frames(wave)).mean(1))
    floor, loud = np.percentile(energy, [10, 95])
    return np.array(
        [
            decibels(np.square(wave).mean()),
            decibels(np.square(wave).max()),
            floor,
            loud,
            (energy < loud - QUIET).mean(),
            (np.abs(wave) >= 32767 / 32768).mean(),
            wave.mean(),
            np.log(len(wave) / SAMPLE_RATE),
        ]
    )


def spectrum(wave: np.ndarray) -> np.ndarray:
    """Roll-offs in kHz, and the levels of bands of 500 Hz in dB against the whole, of a waveform [T]: float64 [3 + 16]."""
    power = np.square(np.abs(np.fft.rfft(_frames(wave) * np.hanning(FRAME), axis=1))).mean(0)[1:]
    share = np.cumsum(power) / max(power.sum(), EPSILON)
    roll_off = (np.searchsorted(share, SHARES) + 1) * SAMPLE_RATE / FRAME / 1000
    bands = power.reshape(BANDS, -1).mean(1)
    return np.concatenate([roll_off, decibels(bands) - decibels(power.mean())])


def decibels(power: np.ndarray) -> np.ndarray:
    """Power, full scale 1, in dB; silence counts as EPSILON."""
    return 10 * np.log10(np.maximum(power, EPSILON))


def _frames(wave: np.ndarray) -> np.ndarray:
    """A waveform [T] in frames [n, FRAME], half of each in the next one; the end is filled with silence."""
    hop = FRAME // 2
    count = max(1, -(-(len(wave) - hop) // hop))
    padded = np.pad(wave, (0, (count + 1) * hop - len(wave)))
    return np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::hop]
