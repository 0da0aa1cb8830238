"""Recordings decoded once, mono at 16 kHz, and the rows that models are asked about: fragments of them, or whole ones."""

import os
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import numpy as np

from mia_lib.corpora.audio import SAMPLE_RATE, check, resample, to_int16, to_mono
from mia_lib.corpora.base import Corpus, Utterance
from mia_lib.corpora.found import shown
from mia_lib.fragments.cutting import CHUNK, PASSING
from mia_lib.fragments.duplicates import Mark, mark
from mia_lib.support.errors import MiaError
from mia_lib.support.parallel import ordered_map
from mia_lib.support.progress import progress


class Sounds(Sequence):
    """Signals one after the other in a temporary file that goes with this object: int16 [T] each.

    Other processes that are sent it read the same file.
    """

    def __init__(self) -> None:
        self._folder: TemporaryDirectory | None = TemporaryDirectory(prefix="mia-", ignore_cleanup_errors=True)
        self._path, self._ends = os.path.join(self._folder.name, "sounds.i16"), [0]
        self._all = np.zeros(0, np.int16)

    def extend(self, signals: Sequence[np.ndarray]) -> None:
        """Add signals, int16 [T]. Raises MiaError where the temporary folder takes no more."""
        try:
            with open(self._path, "ab") as file:
                for signal in signals:
                    file.write(signal.tobytes())
                    self._ends.append(self._ends[-1] + len(signal))
        except OSError as error:
            place = os.path.dirname(os.path.dirname(self._path))
            raise MiaError(
                f"decoded recordings cannot be kept in {place} ({error.strerror}): set TMPDIR to a folder with room for them"
            ) from error

    def __getstate__(self) -> dict:
        return {"_folder": None, "_path": self._path, "_ends": self._ends, "_all": self._all[:0]}

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i):
        if len(self._all) < self._ends[-1]:
            self._all = np.asarray(np.memmap(self._path, np.int16, "r"))
        return self._all[self._ends[i] : self._ends[i + 1]]


class Rows(Protocol):
    """Sounds that a model is asked about: float32 [T] each, in [-1, 1], of known lengths."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> np.ndarray: ...

    def length(self, row: int) -> int: ...


class Audio(Sequence):
    """Rows of `sounds`: of recording `of` [N], from sample `start` [N] on; `length` samples, 0 for whole recordings.

    A row is float32 [T] in [-1, 1]; one that is shorter than `length` repeats itself, as in `fragments.cutting`.
    """

    def __init__(self, sounds: Sounds, of: np.ndarray, start: np.ndarray, length: int):
        self.sounds, self.of, self.start, self.wanted = sounds, of, start, length

    def __len__(self) -> int:
        return len(self.of)

    def length(self, row: int) -> int:
        """Samples of a row."""
        return self.wanted or len(self.sounds[self.of[row]])

    def __getitem__(self, row):
        signal = self.sounds[self.of[row]]
        if self.wanted:
            signal = signal[self.start[row] :][: self.wanted]
            signal = signal if len(signal) == self.wanted else np.resize(signal, self.wanted)
        return signal.astype(np.float32) / 32768


class Heard(NamedTuple):
    """A recording at 16 kHz, int16 [T], or the reason why it cannot be used."""

    signal: np.ndarray
    mark: Mark = Mark()
    bad: str = ""


def hear(corpus: Corpus, utterances: Sequence[Utterance], workers: int | None = None) -> tuple[Sounds, list[Heard]]:
    """All recordings decoded, and what there is to say of each (without its signal, which is in the sounds).

    workers: processes that decode (None: one per core, or this one where there is little to do).
    """
    if len(utterances) < 4 * CHUNK:
        workers = 1
    tasks = [utterances[i : i + CHUNK] for i in range(0, len(utterances), CHUNK)]
    sounds, about = Sounds(), []
    with (
        progress("decode", len(utterances), "recording") as bar,
        closing(ordered_map(partial(_hear_some, corpus), tasks, workers)) as parts,
    ):
        for part in parts:
            sounds.extend([heard.signal for heard in part])
            about += [heard._replace(signal=heard.signal[:0]) for heard in part]
            bar.update(len(part))
    return sounds, about


def _hear_some(corpus: Corpus, rows: Sequence[Utterance]) -> list[Heard]:
    return [_hear_one(corpus, row) for row in rows]


def _hear_one(corpus: Corpus, row: Utterance) -> Heard:
    try:
        samples, rate = corpus.read(row)
        signal = to_int16(resample(to_mono(samples), rate))
        check(signal / np.float32(32768), shown(row.utterance))
    except MiaError as error:
        if getattr(error.__context__, "errno", None) in PASSING:
            raise MiaError(f"{error}: give the same command again once it can be read") from error
        return Heard(np.zeros(0, np.int16), bad=str(error))
    return Heard(signal, mark(signal))


def windows(signal: np.ndarray, length: int) -> tuple[list[int], str]:
    """Where fragments of `length` samples begin in a signal, int16 [T], one after the other, and else why there are none.

    Silent ones and a remainder are left out; one of half the length or more is repeated to fill one. length 0: the whole.
    """
    if not length:
        return [0], ""
    if 2 * len(signal) < length:
        seconds, least = len(signal) / SAMPLE_RATE, length / SAMPLE_RATE / 2
        return [], f"it lasts {seconds:.2g} s, and half a fragment {least:g} s (--seconds)"
    starts = range(0, max(len(signal) - length, 0) + 1, length)
    sound = [start for start in starts if np.abs(signal[start : start + length].astype(np.int32)).max() > 1]
    return sound, "" if sound else "each of its fragments is silent"
