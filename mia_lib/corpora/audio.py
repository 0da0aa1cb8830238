"""Recordings in, 16 kHz mono out: decoding with every kind of damage named, resampling, mixing down."""

import math
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from mia_lib.support.errors import MiaError

SAMPLE_RATE = 16_000
MAX_SECONDS = 120  # more of one recording is not read
TRUNCATED = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)|(Last page lacks an end-of-stream bit)")
"""How libsndfile's log says that a file ends before its header does (WAV, AIFF, AU; Ogg)."""
STREAMED = 0x7FFFF000  # sizes from here on are placeholders of writers that could not seek back, not promises


def read_audio(path: Path) -> tuple[np.ndarray, int]:
    """Decode a file of any format libsndfile knows: float32 samples [n] or [n, channels], and their rate in Hz.

    No more than the first MAX_SECONDS are read.
    Raises MiaError with one sentence naming a file that is missing, empty, not audio, truncated or not finite.
    """
    import soundfile

    try:
        if path.stat().st_size == 0:
            raise MiaError(f"{path}: the file is empty")
        with soundfile.SoundFile(path) as file:
            rate, wanted = file.samplerate, min(file.frames, MAX_SECONDS * file.samplerate)
            samples, log = file.read(wanted, dtype="float32"), file.extra_info
    except FileNotFoundError:
        raise MiaError(f"{path}: the file is missing") from None
    except OSError as error:
        raise MiaError(f"{path}: cannot be opened ({error.strerror})") from None
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = getattr(error, "error_string", str(error)).removeprefix("Error : ").strip().rstrip(".")
        raise MiaError(f"{path}: not audio that can be decoded ({reason})") from None
    if len(samples) < wanted or _cut_short(log):
        raise MiaError(f"{path}: truncated, the recording is shorter than its header says")
    check(samples, path)
    return samples, rate


def check(samples: np.ndarray, name: object) -> None:
    """Raise MiaError naming the recording if its samples are none, not finite or all silent."""
    if len(samples) == 0:
        raise MiaError(f"{name}: the recording holds no samples")
    if not np.isfinite(samples).all():
        raise MiaError(f"{name}: the recording holds samples that are not finite numbers")
    if np.abs(samples).max() < 1 / 32768:
        raise MiaError(f"{name}: the recording is digital silence")


def _cut_short(log: str) -> bool:
    found = TRUNCATED.search(log)
    return found is not None and (found[3] is not None or int(found[2]) < int(found[1]) < STREAMED)


def to_mono(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels: [n] or [n, channels] to [n]."""
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def resample(samples: np.ndarray, rate: int, target: int = SAMPLE_RATE) -> np.ndarray:
    """`samples` [n] at `rate` Hz, band-limited and resampled to `target` Hz."""
    if rate == target:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate, target)
    up, down = target // common, rate // common
    return resample_poly(samples, up, down, window=_low_pass(max(up, down))).astype(np.float32)


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> np.ndarray:
    """The anti-aliasing filter that `resample_poly` would design anew at each call."""
    from scipy.signal import firwin

    return firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0)).astype(np.float32)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Float samples, full scale 1, rounded to 16-bit integers; louder ones are clipped."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
