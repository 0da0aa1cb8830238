"""A recording is what it sounds like: copies of one are found by their samples, whatever they are called or stored as.

A copy that counts as a recording of its own is both member and non-member, which makes a leaky model look safe. Equal samples
are found by their digest. The same sound at another rate or from another container is looked for among the recordings
whose fingerprints are close, and then compared sample by sample: fingerprints propose, waveforms decide.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from mia_lib.corpora.audio import SAMPLE_RATE, resample, to_mono
from mia_lib.corpora.base import Corpus, Utterance
from mia_lib.support.parallel import ordered_map

BANDS = (150, 300, 500, 800, 1200, 1700, 2300, 3000)  # Hz: what a telephone passes too
WINDOW, COSINES = 512, 8  # samples; of the course over time
SECONDS = 0.3  # a difference in length that weighs as much as one unit of a fingerprint
RADIUS = 0.8
"""Fingerprints farther apart are of different recordings: copies came out below 0.5, different sentences above 2."""
NEIGHBOURS, AXES = 8, 10
SAME = 0.8
"""Correlation of waveforms from which two are one recording: copies came out above 0.93, even at 8 kHz in MP3."""
PAIRS = 16  # a task of a worker


class Mark(NamedTuple):
    """What a recording is recognised by."""

    digest: bytes = b""  # of its samples at 16 kHz; empty where there are none
    print: np.ndarray | None = None  # float32 [64]


def mark(signal: np.ndarray) -> Mark:
    """The mark of a recording, int16 [n] at 16 kHz."""
    return Mark(hashlib.blake2b(signal.tobytes(), digest_size=16).digest(), fingerprint(signal))


def fingerprint(signal: np.ndarray) -> np.ndarray | None:
    """Loudness of seven bands, its slow course over time, and the length: float32 [64]; None below a quarter second."""
    from scipy.fft import dct

    frames = len(signal) // WINDOW
    if frames < COSINES:
        return None
    pieces = signal[: frames * WINDOW].reshape(frames, WINDOW) * np.hanning(WINDOW).astype(np.float32)
    power = np.abs(np.fft.rfft(pieces / 32768)) ** 2
    edges = np.round(np.array(BANDS) * WINDOW / SAMPLE_RATE).astype(int)
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    levels = np.log(bands + 1e-4 * bands.mean() + 1e-9)
    course = dct(levels, axis=0, norm="ortho")[1 : COSINES + 1] / np.sqrt(frames)
    seconds = len(signal) / SAMPLE_RATE
    parts = (levels.mean(0) - levels.mean(), course.ravel(), [seconds / SECONDS])
    return np.concatenate(parts).astype(np.float32)


def originals(
    marks: Sequence[Mark], sources: Sequence[str], alike: Callable[[list[tuple[int, int]]], list[bool]]
) -> np.ndarray:
    """The number of the first recording that each one is a copy of, its own where it is none: int64 [N].

    alike: whether the waveforms of each of some pairs are the same. Recordings of one source, which was recorded again in
    other rooms, are copies only where every sample is the same.
    """
    first: dict[bytes, int] = {}
    original = np.array([first.setdefault(m.digest, i) if m.digest else i for i, m in enumerate(marks)], np.int64)
    once = [i for i, m in enumerate(marks) if original[i] == i and m.print is not None]
    pairs = [(once[a], once[b]) for a, b in _close([marks[i].print for i in once])]
    pairs = [(a, b) for a, b in pairs if sources[a] != sources[b]]
    for (a, b), same in zip(pairs, alike(pairs), strict=True):
        if same:
            a, b = sorted((_root(original, a), _root(original, b)))
            original[b] = a
    return np.array([_root(original, i) for i in range(len(original))], np.int64)


def _root(original: np.ndarray, i: int) -> int:
    while original[i] != i:
        i = int(original[i])
    return i


def _close(prints: list) -> list[tuple[int, int]]:
    """Pairs of near neighbours, in ascending order: at most NEIGHBOURS of each, so that many alike do not take for ever.

    Neighbours are looked for along the AXES in which fingerprints differ most, where a tree is quick.
    """
    from scipy.spatial import cKDTree

    if len(prints) < 2:
        return []
    points = np.stack(prints).astype(np.float64)
    axes = np.linalg.eigh(np.cov(points.T))[1][:, -AXES:]
    along = points @ axes
    near = cKDTree(along).query(along, k=1 + NEIGHBOURS, distance_upper_bound=RADIUS)[1]
    found = {(min(a, b), max(a, b)) for a, row in enumerate(near.tolist()) for b in row if b < len(points) and a != b}
    pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
    apart = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    return [(int(a), int(b)) for a, b in pairs[apart < RADIUS]]


def compare(corpus: Corpus, rows: Sequence[Utterance], workers: int | None, pairs: list[tuple[int, int]]) -> list[bool]:
    """Whether each of some pairs of `rows` sounds the same, read anew from the corpus."""
    tasks = [[(rows[a], rows[b]) for a, b in pairs[i : i + PAIRS]] for i in range(0, len(pairs), PAIRS)]
    task = partial(_same_pairs, corpus)
    return [same for part in ordered_map(task, tasks, workers if len(tasks) > 4 else 1) for same in part]


def _same_pairs(corpus: Corpus, pairs: list[tuple[Utterance, Utterance]]) -> list[bool]:
    heard: dict[str, np.ndarray] = {}
    for path, row in {row.path: row for pair in pairs for row in pair}.items():
        samples, rate = corpus.read(row)  # it could be read a moment ago: where it cannot be now, nothing is decided
        heard[path] = resample(to_mono(samples), rate)
    return [correlation(heard[a.path], heard[b.path]) > SAME for a, b in pairs]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The largest correlation of two signals [n] [m] over all shifts of one against the other, whatever their loudness."""
    from scipy.signal import correlate

    energy = float(np.linalg.norm(one.astype(np.float64)) * np.linalg.norm(other.astype(np.float64)))
    return float(np.abs(correlate(one, other, method="fft")).max() / energy) if energy else 0.0
