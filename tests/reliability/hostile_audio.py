"""Audio files of every container and coding that libsndfile writes, and ways to damage them."""

import struct
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from mia_lib.corpora.found import ALIASES

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)
HEADER = 96  # bytes at the front that mutations of header fields aim at
PAGES = 5  # times as long as others: so that an Ogg file has several pages, which hold a second or so each
SPECIAL = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


class Seed(NamedTuple):
    """A whole file."""

    form: str  # such as WAV
    coding: str  # such as PCM_16
    data: bytes
    seconds: float
    fork: bytes = b""  # the file beside it that says what is in it, of SD2

    @property
    def ending(self) -> str:
        """One that the corpora look for."""
        return f".{self.form.lower()}" if self.form != "MAT5" else ALIASES["MAT5"]


def _sound(rng: np.random.Generator, times: int) -> tuple[np.ndarray, int]:
    rate, channels = int(rng.choice(RATES)), int(rng.integers(1, 3))
    seconds = times * rng.uniform(0.3, 1.0)
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 900) * time)[:, None]
    return (tone + 0.05 * rng.standard_normal((len(time), channels))).astype(np.float32), rate


def _written(form: str, coding: str, rng: np.random.Generator) -> Seed | None:
    """A small file of one coding; None where libsndfile does not write it, whatever it says, at any rate or in mono."""
    samples, rate = _sound(rng, PAGES if form == "OGG" else 1)
    for wide, speed in ((samples, rate), (samples[:, :1], rate), (samples[:, :1], 48_000), (samples[:, :1], 8_000)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "seed"
            try:
                soundfile.write(path, wide, speed, format=form, subtype=coding)
                if soundfile.info(path).frames > 0:
                    fork = path.with_name("._seed")
                    beside = fork.read_bytes() if fork.exists() else b""
                    return Seed(form, coding, path.read_bytes(), len(wide) / speed, beside)
            except (soundfile.LibsndfileError, ValueError, TypeError):
                continue
    return None


def seeds(seed: int = 0) -> list[Seed]:
    """One file of each container and coding; raw samples have no header to be known by."""
    rng = np.random.default_rng(seed)
    pairs = [(form, coding) for form in soundfile.available_formats() for coding in soundfile.available_subtypes(form)]
    return [one for form, coding in pairs if form != "RAW" and (one := _written(form, coding, rng))]


def flipped(data: bytearray, rng: np.random.Generator, first: int, last: int) -> bytearray:
    """Some bits turned over between two places."""
    for place in rng.integers(first, max(first + 1, min(last, len(data))), rng.integers(1, 17)):
        data[place] ^= 1 << rng.integers(8)
    return data


def header_field(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A number in the header set to nothing, one, the largest, or a negative one, in either order of bytes."""
    width = int(rng.choice([1, 2, 4, 4, 4, 8]))
    place = int(rng.integers(4, max(5, min(HEADER, len(data) - width))))
    value = int(rng.choice(SPECIAL))
    value = value | value << 32 if width == 8 and rng.random() < 0.5 else value
    order = ">" if rng.random() < 0.5 else "<"
    data[place : place + width] = (
        struct.pack(f"{order}Q", value)[-width:] if order == ">" else struct.pack("<Q", value)[:width]
    )
    return data


def truncated(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(0, len(data)))]


def removed(data: bytearray, rng: np.random.Generator) -> bytearray:
    first, last = sorted(rng.integers(0, len(data), 2))
    return data[:first] + data[last:]


def doubled(data: bytearray, rng: np.random.Generator) -> bytearray:
    first, last = sorted(rng.integers(0, len(data), 2))
    return data[:last] + data[first:]


def lengthened(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Garbage, or the file itself, at the end."""
    return data + (rng.bytes(int(rng.integers(1, 5_000))) if rng.random() < 0.7 else data)


def zeroed(data: bytearray, rng: np.random.Generator) -> bytearray:
    first, last = sorted(rng.integers(0, len(data), 2))
    data[first:last] = bytes(last - first)
    return data


MUTATIONS = {
    "bits of the header": lambda data, rng: flipped(data, rng, 0, HEADER),
    "bits of the body": lambda data, rng: flipped(data, rng, HEADER, len(data)),
    "a header field": header_field,
    "two header fields": lambda data, rng: header_field(header_field(data, rng), rng),
    "truncated": truncated,
    "a part removed": removed,
    "a part doubled": doubled,
    "lengthened": lengthened,
    "zeroes": zeroed,
}


def mutated(seed: Seed, number: int) -> tuple[str, Seed]:
    """The kind of damage, and the damaged file, that follow from `number`."""
    rng = np.random.default_rng([number, len(seed.data)])
    kind = list(MUTATIONS)[rng.integers(len(MUTATIONS))]
    part = "fork" if seed.fork and rng.random() < 0.5 else "data"
    damaged = bytes(MUTATIONS[kind](bytearray(getattr(seed, part)), rng))
    return kind if part == "data" else f"{kind} of the fork", seed._replace(**{part: damaged})
