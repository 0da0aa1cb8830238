"""Recordings that tests of the auditor make: noise with a colour of its own for each speaker, no two alike."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def voice(speaker: int, number: int, seconds: float = 1.2, apart: float = 1.0) -> np.ndarray:
    """A recording of one of the speakers: noise of that speaker's colour, rising and falling, float32 [T].

    apart: how far colours of speakers lie from each other; 0: all have the same.
    """
    random = np.random.default_rng([speaker, number])
    noise = random.standard_normal(round(seconds * RATE))
    colour = np.exp(-np.linspace(0, 4 + apart * speaker, len(noise) // 2 + 1)) + 0.01
    wave = np.fft.irfft(np.fft.rfft(noise) * colour, len(noise))
    course = 1 + 0.5 * np.sin(2 * np.pi * random.uniform(1, 4) * np.arange(len(noise)) / RATE)
    return (0.1 * course * wave / wave.std()).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """Write a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


def folder(root: Path, speakers=range(3), numbers=range(3), seconds: float = 1.2, apart: float = 1.0) -> Path:
    """One folder per speaker, called s0, s1, ..., with one recording for each of the numbers."""
    for speaker in speakers:
        for number in numbers:
            write(root / f"s{speaker}" / f"{number}.wav", voice(speaker, number, seconds, apart))
    return root


def bands(waves) -> np.ndarray:
    """A model by hand: levels of eight bands, [B, 8], each row by itself."""
    power = np.abs(np.fft.rfft(np.asarray(waves, np.float64), axis=1)[:, 1:]) ** 2
    width = power.shape[1] // 8
    return np.log(power[:, : 8 * width].reshape(len(power), 8, width).mean(2) + 1e-6)
