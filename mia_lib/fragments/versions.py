"""Versions of a fragment that somebody holds who does not hold the file: compressed, through a telephone, another microphone.

Each is a perturbation as in `perturbations`. Other than those, these are what recordings go through on their way: an attacker
has one of them in place of the very fragment that was trained on, or was not.
"""

import io
from functools import lru_cache, partial

import numpy as np
import pandas as pd
import soundfile
import torch
import torchaudio.functional as audio
from torch import Tensor

from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.corpora.base import Corpus
from mia_lib.corpora.demo import speak
from mia_lib.fragments.perturbations import PERTURBATIONS, Perturbation, crop, fill, room, scramble, speed
from mia_lib.support.errors import MiaError, UsageError

MP3_LEVEL = 0.75  # of libsndfile's scale from the highest constant bit rate to the lowest: 48 kbit/s at 16 kHz
TELEPHONE_RATE = 8000  # samples a second of GSM 06.10
TALK_DB = 10.0  # of the fragment over the speech in its background
TALKERS = range(200_000, 200_004)  # numbers of the voices in the background: never speakers of a corpus
RANGE = ("slower", "faster", "noise_20")
"""What an attacker makes of the version in hand to ask more than once, beside itself: names of perturbations."""


def through_file(waves: Tensor, rows: Tensor, seed: int, rate: int, **format: object) -> Tensor:
    """Written into a file of a format at a sampling rate, and read from it; format: arguments of `soundfile.write`."""
    length, found = waves.shape[1], []
    for wave in audio.resample(waves, 16_000, rate).cpu().numpy():
        file = io.BytesIO()
        soundfile.write(file, np.clip(wave, -1, 1), rate, **format)
        file.seek(0)
        heard, _ = soundfile.read(file, dtype="float32")
        found.append(np.resize(heard, len(wave)) if len(heard) < len(wave) else heard[: len(wave)])
    return fill(audio.resample(torch.from_numpy(np.stack(found)).to(waves), rate, 16_000), length)


@lru_cache(maxsize=4)
def talk(seed: int) -> np.ndarray:
    """A minute or so of synthetic speech by voices outside of any corpus, float32 [n] of power one, at 16 kHz."""
    said = np.concatenate([speak(seed, number, index) for index in range(4) for number in TALKERS])
    return (said / np.sqrt(np.mean(said**2))).astype(np.float32)


def overheard(waves: Tensor, rows: Tensor, seed: int, decibels: float) -> Tensor:
    """With somebody else talking in the background, `decibels` below the fragment's mean power."""
    voices = torch.from_numpy(talk(seed)).to(waves)
    start = scramble(scramble(torch.full_like(rows, seed % 2**32)) ^ (rows & 0xFFFFFFFF)) % len(voices)
    place = start[:, None] + torch.arange(waves.shape[1], device=waves.device)
    level = (waves.square().mean(1, keepdim=True) * 10 ** (-decibels / 10)).sqrt()
    return waves + level * voices[place % len(voices)]


def from_close(waves: Tensor, rows: Tensor, seed: int, corpus: Corpus, manifest: pd.DataFrame) -> Tensor:
    """The same seconds before any room (`Corpus.played`), as loud as the fragments, which are the `rows` of a manifest."""
    length, found = waves.shape[1], []
    for row in rows.tolist():
        about = manifest.iloc[row]
        played, start = _played(corpus, about), round(float(about["start"]) * SAMPLE_RATE)
        heard = np.empty(0) if played is None else played[start : start + length]
        if not len(heard):
            raise MiaError(f"what was played of {about['source']} is missing, or ends before second {about['start']:g}")
        found.append(np.resize(heard, length))
    close = torch.from_numpy(np.stack(found)).to(waves)
    power = close.square().mean(1, keepdim=True)
    return close * (waves.square().mean(1, keepdim=True) / power.clamp_min(1e-20)).sqrt()


def _played(corpus: Corpus, about: pd.Series) -> np.ndarray | None:
    """What was played where the fragment of a row of a manifest was recorded, if it can be had."""
    return corpus.played(str(about["source"]), about["subset"])


def untouched(waves: Tensor, rows: Tensor, seed: int) -> Tensor:
    """The fragment itself."""
    return waves


EXACT = "file"
VERSIONS: dict[str, Perturbation] = {
    EXACT: untouched,
    "mp3": partial(
        through_file,
        rate=16_000,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=MP3_LEVEL,
    ),
    "telephone": partial(through_file, rate=TELEPHONE_RATE, format="WAV", subtype="GSM610"),
    "microphone": partial(room, name="rm4", microphone=2),
    "one_second": partial(crop, share=1 / 3),
    "slower": partial(speed, percent=95),
    "faster": partial(speed, percent=105),
    "talk": partial(overheard, decibels=TALK_DB),
}
"""By name, the file itself first."""


CLOSE = "close"
"""The version before any room, where the corpus has one."""


def versions_of(corpus: Corpus, manifest: pd.DataFrame) -> tuple[str, ...]:
    """The names of the versions that there are of a corpus's recordings, the file itself first."""
    return tuple(VERSIONS) if _played(corpus, manifest.iloc[0]) is None else (*VERSIONS, CLOSE)


def version(name: str, corpus: Corpus, manifest: pd.DataFrame) -> Perturbation:
    """A version by its name, of the fragments of a corpus's manifest. Raises UsageError for an unknown one."""
    if name == CLOSE:
        return partial(from_close, corpus=corpus, manifest=manifest)
    if name not in VERSIONS:
        raise UsageError(f"unknown version {name!r} of a recording: choose one of {', '.join([*VERSIONS, CLOSE])}")
    return VERSIONS[name]


def range_of() -> list[Perturbation]:
    """What is asked of a version in hand: itself, and what RANGE makes of it."""
    return [untouched, *(PERTURBATIONS[name] for name in RANGE)]
