"""Session effects: the same voice recorded another day, with another microphone, further away."""

import numpy as np

RATE = 16_000
BANDS = np.geomspace(60, 8000, 9)  # Hz, where the channel's random gains are drawn


def record(speech: np.ndarray, random: np.random.Generator, channel_db: float = 4.0, snr_db=(12.0, 30.0)) -> np.ndarray:
    """Pass clean `speech` [n] (16 kHz) through a random channel; float32 samples [n] of random level.

    The channel is a smooth random gain with `channel_db` standard deviation; noise with a random slope is added at a
    signal-to-noise ratio from the range `snr_db`.
    """
    n = len(speech)
    length = 1 << int(np.ceil(np.log2(max(n, 2))))  # a power of two keeps the transforms fast
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    logs = np.log(np.maximum(frequency, BANDS[0]))
    gain = np.interp(logs, np.log(BANDS), random.normal(0, channel_db, len(BANDS)))
    channelled = np.fft.irfft(np.fft.rfft(speech, length) * 10 ** (gain / 20), length)[:n]
    slope = np.maximum(frequency, 50.0) ** -random.uniform(0, 1)
    noise = np.fft.irfft(np.fft.rfft(random.standard_normal(length)) * slope, length)[:n]
    noise *= rms(channelled) / max(rms(noise), 1e-9) * 10 ** (-random.uniform(*snr_db) / 20)
    mixed = channelled + noise
    level = 10 ** (random.uniform(-32, -18) / 20)  # of full scale
    return (mixed * (level / max(rms(mixed), 1e-9))).astype(np.float32)


def rms(signal: np.ndarray) -> float:
    """Root mean square of a signal."""
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)))) if len(signal) else 0.0
