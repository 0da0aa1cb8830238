"""A header's length is a hint: files whose writer could not know it are read to their end, and what is missing is found.

Files of PAF, PVF, IRCAM, SD2 and XI, and MP3 without a count of frames, do not say how long they should be: that one was cut
cannot be known, and it counts as read.
"""

import os
import re
import struct
from functools import cache
from pathlib import Path

STREAMED = 0x7FFFF000  # sizes from here on are placeholders of writers that could not seek back, not promises
SHOULD = re.compile(r"(data|SSND|BODY|Data Size|Data length|riff|Riff size)\s*:? (\d+) \(?should be (\d+)\)?")
"""How libsndfile's log says how many bytes a header promises, and how many are there."""
SHORT = re.compile(r"Seems to be a truncated file|File seems to be truncated")
HALF_BLOCK = re.compile(r"short read \((\d+) != (\d+)\)")
"""A block of a speech codec that ended early, in bytes; after the last one there are none, or one to make them even."""
NO_END = "Last page lacks an end-of-stream bit"
PAGE = 65_307  # bytes of the largest page of Ogg
FRAMES = {
    "AVR": r"Frames\s*: (\d+)",
    "MPC2K": r"Frames\s*: (\d+)",
    "MAT5": r"Cols : (\d+)\s+Type[^\n]*\s+Name : wavedata",
}
CHUNKS = (
    b"LIST",
    b"id3 ",
    b"ID3 ",
    b"cue ",
    b"smpl",
    b"bext",
    b"fact",
    b"PAD ",
    b"junk",
    b"JUNK",
    b"PEAK",
    b"iXML",
    b"_PMX",
)
TOLERATED, TOLERATED_MP3 = 0.05, 0.5  # seconds: a frame of an encoder, which headers count or do not


@cache
def _stream() -> type:
    from soundfile import SoundFile

    class Stream(SoundFile):
        """A file read from front to end: nothing seeks, so that nothing relies on its length."""

        def seekable(self) -> bool:
            return False

    return Stream


class Patched:
    """A file with some bytes of its header replaced, and `extra` bytes that it claims to have but has not."""

    def __init__(self, path: Path, patches: dict[int, bytes], extra: int = 0):
        self.file, self.patches = open(path, "rb"), patches  # noqa: SIM115  # closed with the stream
        self.size, self.extra, self.place = os.path.getsize(path), extra, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = offset + (0, self.place, self.size + self.extra)[whence]
        return self.place

    def tell(self) -> int:
        return self.place

    def read(self, count: int) -> bytes:
        if self.extra and self.place >= self.size + self.extra - 1000:
            data = bytearray(min(count, self.size + self.extra - self.place))  # where tags would be
        else:
            data = bytearray(self._read(count))
        for at, new in self.patches.items():
            for i, byte in enumerate(new, at - self.place):
                if 0 <= i < len(data):
                    data[i] = byte
        self.place += len(data)
        return bytes(data)

    def _read(self, count: int) -> bytes:
        """What lies there; where the system cannot read on, the end: this is called from C, which no error passes."""
        try:
            self.file.seek(min(self.place, self.size))
            return self.file.read(count)
        except OSError:
            return b""

    def write(self, _data: bytes) -> int:
        return 0


def open_stream(path: Path):
    """The file opened for reading from front to end, with a length that does not end it early; and the seconds of sound per
    second that is there, by a header that had to be replaced (1 where all is there, 0 where nothing is promised)."""
    head = _head(path, 1 << 16)
    size = os.path.getsize(path)
    patches, promised = _patches(head, size)
    if _unsized_mp3(head):
        return _stream()(Patched(path, {}, 50 * size)), 0.0
    name = path if os.name == "nt" else os.fsencode(path)  # bytes: a name need not be UTF-8
    return _stream()(Patched(path, patches) if patches else name), promised


def _head(path: Path, count: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(count)


def _patches(head: bytes, size: int) -> tuple[dict[int, bytes], float]:
    """What to replace in a header that leaves the length open, or that libsndfile refuses where the file was cut."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        at = _chunk(head, 12, b"data", "<I", 2)
        follows = head[at + 8 : at + 12]
        if at and not any(head[at + 4 : at + 8]) and size > at + 8 and follows not in CHUNKS:
            return {4: b"\xff" * 4, at + 4: b"\xff" * 4}, 1.0
    elif head[:4] == b"RF64" and (at := _chunk(head, 12, b"data", "<I", 2)):
        sizes = 20  # of the chunk ds64, which comes first
        if head[12:16] == b"ds64" and head[28:36] in (b"\0" * 8, b"\xff" * 8) and size > at + 8:
            there = size - at - 8
            return {sizes: struct.pack("<QQ", size - 8, there), at + 4: b"\xff" * 4}, 1.0
    elif head[:4] == b".snd" and head[8:12] == b"\0" * 4:
        return {8: b"\xff" * 4}, 1.0
    elif head[:4] == b"caff" and (at := _chunk(head, 8, b"data", ">q", 1)):
        wanted, there = struct.unpack(">q", head[at + 4 : at + 12])[0], size - at - 12
        if (wanted <= 4 < there) or wanted > there:
            return {at + 4: struct.pack(">q", there)}, wanted / there if wanted > there > 0 else 1.0
    return {}, 1.0


def _chunk(head: bytes, at: int, name: bytes, form: str, even: int) -> int:
    """Where the chunk `name` begins in a header, 0 if nowhere."""
    wide = struct.calcsize(form)
    while at + 4 + wide <= len(head):
        if head[at : at + 4] == name:
            return at
        length = struct.unpack(form, head[at + 4 : at + 4 + wide])[0]
        at += 4 + wide + max(length, 0) + (length % even)
    return 0


def _unsized_mp3(head: bytes) -> bool:
    """Whether this is an MPEG stream that does not say how many frames it has, so that libsndfile guesses from the first."""
    start = 0
    if head[:3] == b"ID3":
        start = 10 + sum((byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    frame = head[start : start + 200]
    mpeg = len(frame) > 4 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0 and frame[1] & 0x06 != 0
    return mpeg and not any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))


def missing(path: Path, form: str, frames: int, decoded: int, log: str, promised: float) -> float:
    """How many frames a file of format `form` lacks against what its header promises; infinite where that is not known.

    frames: as libsndfile takes them from the header; promised: as `open_stream` says.
    """
    share = promised
    for name, wanted, there in SHOULD.findall(log):
        if name != "riff" or form == "W64":
            share = max(share, int(wanted) / max(int(there), 1) if int(there) < int(wanted) < STREAMED else 1.0)
    wanted = decoded * share
    if pattern := re.search(FRAMES[form], log) if form in FRAMES else None:
        wanted = max(wanted, int(pattern[1]))
    if form == "NIST" and (count := re.search(rb"sample_count -i (\d+)", _head(path, 1024))):
        wanted = max(wanted, int(count[1]))
    if not promised:
        return 0
    if frames < 1 << 62:  # not unknown
        wanted = max(wanted, frames)
    half = any(int(got) > 1 for got, _ in HALF_BLOCK.findall(log))
    if half or SHORT.search(log) or (form == "OGG" and (NO_END in log or _half_page(path))):
        return float("inf")
    return wanted - decoded


def _half_page(path: Path) -> bool:
    """Whether an Ogg file ends within a page. To libsndfile it was whole if that page's head says that it is the last."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - PAGE))
        tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    head = 27 + (page[26] if len(page) > 26 else 0)  # and a byte for the size of each of its segments
    return len(page) < head or len(page) < head + sum(page[27:head])
