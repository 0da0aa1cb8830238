"""Session effects: the same voice recorded another day, with another microphone, at another level."""

import numpy as np

RATE = 16_000
BANDS = np.geomspace(60, 8000, 9)  # Hz, where the channel's random gains are drawn
CHANNEL_DB = 2.0  # standard deviation of those gains
SNR_DB = (18.0, 32.0)
LEVEL_DB = (-36.0, -22.0)  # of full scale, root mean square


def record(speech: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Pass `speech` [n] (16 kHz) through a random channel with noise; float32 samples [n] of random level.

    The channel is a smooth random gain over frequency, the noise has a random slope. Both are applied to the spectrum.
    """
    from scipy import fft

    size = fft.next_fast_len(len(speech), real=True)
    spectrum = fft.rfft(speech.astype(np.float32), size)
    frequency = np.maximum(fft.rfftfreq(size, 1 / RATE), BANDS[0]).astype(np.float32)
    gains_db = random.normal(0, CHANNEL_DB, len(BANDS))
    spectrum *= 10 ** (np.interp(np.log(frequency), np.log(BANDS), gains_db) / 20)
    noise = random.standard_normal((2, len(spectrum)), np.float32) * frequency ** -random.uniform(0, 1)
    noise = (noise[0] + 1j * noise[1]).astype(np.complex64)
    noise *= rms(spectrum) / rms(noise) * 10 ** (-random.uniform(*SNR_DB) / 20)
    mixed = fft.irfft(spectrum + noise, size)[: len(speech)]
    return (mixed * (10 ** (random.uniform(*LEVEL_DB) / 20) / max(rms(mixed), 1e-9))).astype(np.float32)


def rms(signal: np.ndarray) -> float:
    """Root mean square of a real or complex signal."""
    return float(np.sqrt(np.mean(np.abs(signal) ** 2))) if len(signal) else 0.0
