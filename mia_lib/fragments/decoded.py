"""What was decoded so far lies on disk: a killed run goes on after the last whole chunk.

The fragments of all chunks follow each other in one raw file. Beside it stands a line about each chunk, written after its
audio: the digest of that audio, and what else there is to say of its utterances.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mia_lib.fragments.duplicates import Mark
from mia_lib.fragments.tally import Cut, Tally
from mia_lib.support.progress import Bar, Share

AUDIO, LINES = "audio.i16", "chunks.jsonl"


class Decoded:
    """The chunks of utterances that lie in a folder, so many (`chunks`) and with this `tally`; more can be added."""

    def __init__(self, folder: Path, length: int):
        """length: samples of a fragment."""
        self.audio, self.lines, self.length = folder / AUDIO, folder / LINES, length
        self.tally, self.chunks = Tally(), 0
        self._read()

    def _read(self) -> None:
        """Take up all whole chunks, and cut off what follows them."""
        sound = said = 0
        self.audio.touch()
        self.lines.touch()
        with open(self.audio, "rb") as audio, open(self.lines, "rb") as lines:
            for line in lines:
                cuts = self._cuts(line, audio)
                if cuts is None:
                    break
                self._count(cuts)
                sound, said = audio.tell(), said + len(line)
        os.truncate(self.audio, sound)
        os.truncate(self.lines, said)

    def _count(self, cuts: list[Cut]) -> None:
        self.chunks += 1
        for cut in cuts:
            self.tally.add(cut)

    def add(self, chunks: Iterable[list[Cut]], bar: Bar | Share) -> Tally:
        """Append chunks as they come, so that memory does not grow with the corpus; returns the tally of all."""
        with open(self.audio, "ab") as audio, open(self.lines, "ab") as lines:
            for cuts in chunks:
                sound = b"".join(cut.pieces.tobytes() for cut in cuts)
                audio.write(sound)
                audio.flush()
                lines.write(_line(cuts, sound))
                lines.flush()
                self._count(cuts)
                bar.update(len(cuts))
        return self.tally

    def _cuts(self, line: bytes, audio) -> list[Cut] | None:
        """The utterances of a chunk; None if its line or its audio is not whole."""
        try:
            seal, about = json.loads(line)
            if seal != _seal(about) or not line.endswith(b"\n"):
                return None
            sounds = [audio.read(2 * self.length * count) for count, *_ in about["cuts"]]
        except (ValueError, TypeError):
            return None
        if hashlib.sha256(b"".join(sounds)).hexdigest() != about["audio"]:
            return None
        return [self._cut(sound, *rest) for sound, (_, *rest) in zip(sounds, about["cuts"], strict=True)]

    def _cut(self, sound: bytes, digest: str, course: str | None, *rest) -> Cut:
        pieces = np.frombuffer(sound, np.int16).reshape(-1, self.length)
        fingerprint = None if course is None else np.frombuffer(bytes.fromhex(course), np.float32)
        places, rate, fate, silent, notes, bad = rest
        return Cut(pieces, places, rate, fate, Mark(bytes.fromhex(digest), fingerprint), silent, tuple(notes), bad)


def _line(cuts: list[Cut], sound: bytes) -> bytes:
    about = {"audio": hashlib.sha256(sound).hexdigest(), "cuts": [_row(cut) for cut in cuts]}
    return json.dumps([_seal(about), about]).encode() + b"\n"


def _row(cut: Cut) -> list:
    course = cut.mark.print
    mark = cut.mark.digest.hex(), None if course is None else course.tobytes().hex()
    return [len(cut.pieces), *mark, list(cut.places), cut.rate, cut.fate, cut.silent, list(cut.notes), cut.bad]


def _seal(about: dict) -> str:
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()
