"""Speech from eSpeak NG in memory: the library of the `espeakng-loader` wheel, called through ctypes.

The library keeps state from one sentence to the next (phases of flutter and roughness, for instance), which its own
functions do not reset. `Synthesiser` therefore loads it afresh for every sentence, which takes half a millisecond, so
that the sound depends on text and settings only, never on what was said before.
"""

import _ctypes
import atexit
import ctypes
import os
import shutil
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_lib.support.errors import MiaError

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: the callback is called before espeak_Synth returns
CHARS_UTF8 = 1
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
ENGLISH = ("en_dict", "intonations", "phondata", "phondata-manifest", "phonindex", "phontab", "lang/gmw")
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


ONE_AT_A_TIME = threading.Lock()
"""The library has one state for all threads of a process."""


@dataclass(frozen=True)
class Delivery:
    """How one sentence is spoken: `rate` in words per minute, `pitch` and `pitch_range` on eSpeak's scale 0 to 99."""

    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50


class Synthesiser:
    """The eSpeak library with a data folder of our own, into which voices can be written."""

    def __init__(self):
        import espeakng_loader

        packaged = Path(espeakng_loader.get_data_path())
        self._home = Path(tempfile.mkdtemp(prefix="mia-espeak-"))
        atexit.register(shutil.rmtree, self._home, ignore_errors=True)
        data = self._home / "espeak-ng-data"
        self._variants = data / "voices" / "!v"
        self._variants.mkdir(parents=True)
        for name in ENGLISH:
            copy = shutil.copytree if (packaged / name).is_dir() else shutil.copyfile
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            copy(packaged / name, data / name)
        self._path = espeakng_loader.get_library_path()
        self._pieces: list[np.ndarray] = []
        self._callback = CALLBACK(self._receive)
        self.rate = 0  # Hz, known once the library is loaded
        with self._loaded():
            pass

    @contextmanager
    def _loaded(self):
        """The library in its first state; unloaded at the end, so that nothing is carried over."""
        try:
            library = ctypes.CDLL(self._path)
            self.rate = library.espeak_Initialize(SYNCHRONOUS, 500, str(self._home).encode(), 0)
        except OSError:
            self.rate = 0
        if self.rate <= 0:
            raise MiaError("the speech synthesiser eSpeak NG could not be started from the espeakng-loader package")
        library.espeak_SetSynthCallback(self._callback)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # breath is noise
        try:
            yield library
        finally:
            library.espeak_Terminate()
            getattr(_ctypes, "FreeLibrary" if os.name == "nt" else "dlclose")(library._handle)

    def _receive(self, wave, count: int, _events) -> int:
        if wave and count > 0:
            self._pieces.append(np.ctypeslib.as_array(wave, (count,)).copy())
        return 0

    def say(self, text: str, accent: str, voice: str, delivery: Delivery) -> np.ndarray:
        """Speak `text` with the voice file `voice`; int16 samples [n] at `self.rate`.

        accent: one of eSpeak's language files, such as "gmw/en-US".
        """
        data = text.encode()
        with ONE_AT_A_TIME, self._loaded() as library:
            (self._variants / "speaker").write_text(voice, encoding="utf-8")
            self._pieces = []
            if library.espeak_SetVoiceByName(f"{accent}+speaker".encode()) != 0:
                raise MiaError(f"eSpeak NG does not know the accent {accent!r}")
            library.espeak_SetParameter(RATE, delivery.rate, 0)
            library.espeak_SetParameter(PITCH, delivery.pitch, 0)
            library.espeak_SetParameter(RANGE, delivery.pitch_range, 0)
            library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 0, 0, CHARS_UTF8, None, None)
            pieces = self._pieces
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


_started: list[Synthesiser] = []


def synthesiser() -> Synthesiser:
    """This process's synthesiser, started at first use; threads may share it."""
    with ONE_AT_A_TIME:
        if not _started:
            _started.append(Synthesiser())
    return _started[0]
