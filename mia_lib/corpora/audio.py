"""Recordings in, 16 kHz mono out: decoding with every kind of damage named, resampling, mixing down."""

from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from mia_lib.corpora.found import shown
from mia_lib.corpora.lengths import TOLERATED, TOLERATED_MP3, missing, open_stream
from mia_lib.support.errors import MiaError

SAMPLE_RATE = 16_000
MAX_SECONDS = 120  # more of one recording is not read
LOWEST_RATE, HIGHEST_RATE = 1_000, 400_000  # Hz: of sound; others are damaged headers
LOUDEST = 1e10  # times full scale: more than whole numbers of 32 bits taken for it
FINEST = 20_000
"""The largest factor by which is resampled: filters grow with it. Usual rates need less and are met exactly, others to
within a ten-millionth."""
BLOCK = 1 << 18  # samples decoded at a time, of all channels together
MOST_BYTES = 1 << 30  # of a file, that can matter to its first MAX_SECONDS


class Decoded(tuple):
    """Samples and rate, as a pair; `shorter`: a little less sound than the header says; `mixed`: of several channels."""

    shorter: bool = False
    mixed: bool = False


def read_audio(path: Path) -> Decoded:
    """Decode a file of any format libsndfile knows: float32 samples [n], the mean of its channels, and their rate in Hz.

    It is read to its end, whatever length its header gives, but no more than the first MAX_SECONDS. Channels are mixed as
    they come: eight of them can be two hundred times as large as the file.
    Raises MiaError with one sentence naming a file that is missing, cannot be read to its end, is empty, not audio, truncated
    or not finite.
    """
    name = shown(path)
    try:
        if path.stat().st_size == 0:
            raise MiaError(f"{name}: the file is empty")
        try:
            heard, to_its_end = _decoded(path, name)
        except MiaError:
            _read_through(path)
            heard, to_its_end = _decoded(path, name)
        if to_its_end:
            _read_through(path)
    except FileNotFoundError:
        raise MiaError(f"{name}: the file is missing") from None
    except OSError as error:
        raise MiaError(f"{name}: cannot be read ({error.strerror})") from None
    check(heard[0], name, ", with its channels mixed" if heard.mixed else "")
    return heard


def _read_through(path: Path) -> None:
    """Read a file to its end; raises OSError where the system cannot. To libsndfile such a place is where the sound ends.

    What lies beyond MOST_BYTES is left: a file that claims to be without end would never be done with.
    """
    with open(path, "rb") as file:
        while file.tell() < MOST_BYTES and file.read(1 << 20):
            pass


def _decoded(path: Path, name: str) -> tuple[Decoded, bool]:
    """A file's sound, and whether it was read to its end. Raises MiaError for what is not sound, or cut."""
    import soundfile

    blocks: list[np.ndarray] = []
    try:
        file, promised = open_stream(path)
        with file:
            rate, frames, form = file.samplerate, file.frames, file.format
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise MiaError(f"{name}: its header says {rate} Hz, which is no sampling rate of sound")
            most, decoded, at_once = MAX_SECONDS * rate, 0, max(1, BLOCK // file.channels)
            while decoded < most and len(block := file.read(min(at_once, most - decoded), dtype="float32")):
                blocks.append(to_mono(block))
                decoded += len(block)
            log, mixed = file.extra_info, file.channels > 1
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = getattr(error, "error_string", str(error)).removeprefix("Error : ").strip().rstrip(".")
        if "lost sync" in reason:
            raise MiaError(
                f"{name}: truncated or damaged, the recording ends before its header says ({reason})"
            ) from None
        raise MiaError(f"{name}: not audio that can be decoded ({reason})") from None
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    lacks = missing(path, form, frames, decoded, log, promised) if 0 < decoded < most else 0
    if lacks > rate * (TOLERATED_MP3 if form == "MP3" else TOLERATED):
        raise MiaError(f"{name}: truncated, the recording is shorter than its header says")
    heard = Decoded((samples, rate))
    heard.shorter, heard.mixed = lacks > 0, mixed
    return heard, decoded < most


def check(samples: np.ndarray, name: object, how: str = "") -> None:
    """Raise MiaError naming the recording, and `how` it was heard, if its samples are none, not finite or all silent."""
    if len(samples) == 0:
        raise MiaError(f"{name}: the recording holds no samples{how}")
    if not np.isfinite(samples).all():
        raise MiaError(f"{name}: the recording holds samples that are not finite numbers{how}")
    loudest = max(samples.max(), -samples.min())
    if loudest > LOUDEST:
        raise MiaError(f"{name}: the recording holds samples far beyond full scale{how}")
    if loudest < 1 / 32768:
        raise MiaError(f"{name}: the recording is digital silence{how}")


def to_mono(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels: [n] or [n, channels] to [n]; of what is not finite it is not either."""
    with np.errstate(invalid="ignore", over="ignore"):
        return samples if samples.ndim == 1 else samples.mean(axis=1)


def resample(samples: np.ndarray, rate: int, target: int = SAMPLE_RATE) -> np.ndarray:
    """`samples` [n] at `rate` Hz, band-limited and resampled to `target` Hz."""
    if rate == target:
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(target, rate)
    if max(ratio.as_integer_ratio()) > FINEST:
        ratio = ratio.limit_denominator(FINEST)
    up, down = ratio.as_integer_ratio()
    return resample_poly(samples, up, down, window=_low_pass(max(up, down))).astype(np.float32)


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> np.ndarray:
    """The anti-aliasing filter that `resample_poly` would design anew at each call."""
    from scipy.signal import firwin

    return firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0)).astype(np.float32)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Float samples, full scale 1, rounded to 16-bit integers; louder ones are clipped."""
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
