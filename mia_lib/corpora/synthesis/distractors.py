"""What else sounds in a room: babble, music-like chords, something like a television."""

from collections.abc import Callable, Sequence

import numpy as np

from mia_lib.corpora.synthesis.session import rms

RATE = 16_000
CHORDS = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (-3, 0, 4), (2, 5, 9))  # semitones above the key
TALKERS = 5


def babble(length: int, voices: Sequence[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Several of `voices` (clean speech, 16 kHz) talking at once; [length]."""
    chosen = random.choice(len(voices), TALKERS, replace=False)
    return np.sum([_looped(voices[i] / rms(voices[i]), length, random) for i in chosen], axis=0)


def music(length: int, _voices: Sequence[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """A sequence of plucked chords with overtones; [length]."""
    beat = int(RATE * random.uniform(0.35, 0.7))
    time, key = np.arange(beat, dtype=np.float32) / RATE, 110 * 2 ** random.uniform(0, 1)
    bars = []
    for _ in range(-(-length // beat)):
        notes = (key * 2 ** (np.array(CHORDS[random.integers(len(CHORDS))]) / 12)).astype(np.float32)
        tones = [np.sin((2 * np.pi * k) * note * time) / k for note in notes for k in (1, 2, 3, 5)]
        bars.append(np.sum(tones, axis=0) * np.exp(-3 * time))
    return np.concatenate(bars)[:length]


def television(length: int, voices: Sequence[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """One voice over softer music, limited to the band of a small loudspeaker; [length]."""
    from scipy.signal import butter, sosfilt

    voice = voices[int(random.integers(len(voices)))]
    score = music(length, voices, random)
    programme = _looped(voice / rms(voice), length, random) + 0.4 * score / rms(score)
    return sosfilt(butter(2, (250, 3800), "bandpass", fs=RATE, output="sos"), programme)


DISTRACTORS: dict[str, Callable | None] = {"none": None, "babb": babble, "musi": music, "tele": television}
"""VOiCES's names for them."""


def _looped(signal: np.ndarray, length: int, random: np.random.Generator) -> np.ndarray:
    return np.resize(np.roll(signal, random.integers(len(signal))), length)
