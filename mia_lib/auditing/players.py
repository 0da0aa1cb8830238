"""The first seconds of a recording, as a sound that a page can hold."""

import base64
import io
import os
from pathlib import Path

import soundfile

from mia_lib.corpora.audio import SAMPLE_RATE, read_audio, resample, to_int16, to_mono
from mia_lib.support.errors import MiaError

SECONDS = 3


def short_sound(path: str | os.PathLike) -> str:
    """The first SECONDS of a recording, mono at 16 kHz, as the address of a FLAC; empty where it cannot be read any more."""
    try:
        samples, rate = read_audio(Path(path))
    except MiaError:
        return ""
    sound, buffer = resample(to_mono(samples[: SECONDS * rate]), rate), io.BytesIO()
    soundfile.write(buffer, to_int16(sound), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(buffer.getvalue()).decode()}"
