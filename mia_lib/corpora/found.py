"""What lies in the folders of a corpus: every file is named once, as a recording or with the reason why it is passed over."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ALIASES = {
    "WAV": ".wave .bwf",
    "AIFF": ".aif .aifc",
    "AU": ".snd",
    "FLAC": ".fla",
    "MP3": ".mp2 .mp1 .mpga",
    "OGG": ".oga .opus",
    "NIST": ".sph .wv1 .wv2",
    "SVX": ".8svx .16sv .iff",
    "IRCAM": ".sf",
    "MAT4": ".mat",
    "MAT5": ".mat",
    "MPC2K": ".mpc",
    "PAF": ".fap",
}
"""Usual endings of libsndfile's formats, beside their names; raw samples without a header cannot be told apart."""
UNREAD = frozenset(
    f".{name}"
    for names in (
        "m4a m4b mp4 m4v aac adts wma asf amr awb 3gp 3g2 webm weba mka mkv mov avi flv ape wv tta tak dsf dff",
        "ra rm ac3 eac3 dts shn spx gsm raw pcm alac qcp vox dss ds2",
    )
    for name in names.split()
)
"""Endings of sound that is not read: to be converted."""
CONVERT = "convert such files first, for example with `ffmpeg -i IN.m4a OUT.flac`"

ENDING, ROOT, UNLISTED, ELSEWHERE, LISTED_TWICE = "ending", "root", "unlisted", "elsewhere", "listed_twice"
NOT_LISTED = "not_listed"
HIDDEN, LINKED, OTHER = "hidden", "linked", "other"
WHY = {
    ENDING: "sound in a format that is not read: " + CONVERT,
    ROOT: "outside the speakers' folders, so nobody's: move it into one",
    UNLISTED: "a folder that cannot be listed: give the right to read it",
    ELSEWHERE: "a recording where this corpus has none",
    LISTED_TWICE: "a second row of the index for the same file",
    NOT_LISTED: "a recording that no index names, so nobody knows whose it is",
    HIDDEN: "hidden: its name begins with a dot",
    LINKED: "a link to a folder that is read elsewhere, or that holds the corpus",
    OTHER: "not sound, by its ending",
}
"""Reasons why something is passed over before anything is decoded."""
LOSSES = (ENDING, ROOT, UNLISTED, ELSEWHERE)
"""Reasons by which sound is lost: they count against --max-bad. The others hold no recording of their own."""


class PassedOver(NamedTuple):
    """A file or folder that no row of the table stands for."""

    path: str  # relative to the corpus, as it is shown
    why: str  # a key of WHY
    speaker: str = ""  # whose folder it is in

    @property
    def ending(self) -> str:
        return ending(self.path)


class File(NamedTuple):
    """A file below a folder; `why` is empty for one that should hold sound."""

    path: str
    why: str


@cache
def readable() -> frozenset[str]:
    """Endings of the files that the installed libsndfile reads, in small letters."""
    import soundfile

    names = [name for name in soundfile.available_formats() if name != "RAW"]
    return frozenset([f".{name.lower()}" for name in names] + " ".join(ALIASES.get(n, "") for n in names).split())


def ending(path: str) -> str:
    """The ending of a file's name in small letters, "" for none."""
    return os.path.splitext(path)[1].lower()


def kind(name: str) -> str:
    """Why a file of this name is passed over, or "" for a recording."""
    if name.startswith("."):
        return HIDDEN
    if ending(name) in readable():
        return ""
    return ENDING if ending(name) in UNREAD else OTHER


def shown(path: str | os.PathLike) -> str:
    r"""A path as text that every file and console takes, in one form of its accents; bytes that are not UTF-8 read \xe9."""
    return unicodedata.normalize("NFC", os.fsencode(path).decode("utf-8", "backslashreplace"))


def kept(path: str) -> str:
    """A path as text that tables and digests take and that leads back to the file: stray bytes are in a private plane."""
    return "".join(chr(0x100000 + ord(c)) if "\udc80" <= c <= "\udcff" else c for c in path)


def real(path: str) -> str:
    """The path that `kept` made a text of."""
    return "".join(chr(ord(c) - 0x100000) if "\U0010dc80" <= c <= "\U0010dcff" else c for c in path)


class Walk:
    """Walks through folders that enter every real folder once, however many links lead there.

    What is real comes before what is linked, so that a folder is found in its own place. Links to `root`, to a folder that
    holds it or that was entered before are passed over: no link makes a walk endless, or gives one others' recordings.
    """

    def __init__(self, root: Path):
        self.root = os.fspath(root)
        self.entered = {_identity(parent) for parent in (root.resolve(), *root.resolve().parents)}

    def files(self, folders: Iterable[str]) -> Iterator[tuple[str, File]]:
        """(folder, file) for everything below each of `folders`, those that are links last."""
        links: list[tuple[str, str]] = []
        for folder in sorted(folders, key=lambda path: (os.path.islink(path), path)):
            if os.path.islink(folder):
                links.append((folder, folder))
            else:
                yield from ((folder, file) for file in self._below(folder, folder, links))
        while links:
            owner, link = links.pop(0)
            yield from ((owner, file) for file in self._below(owner, link, links))

    def _below(self, owner: str, folder: str, links: list[tuple[str, str]]) -> Iterator[File]:
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            try:
                identity = _identity(here)
                if identity in self.entered:
                    yield File(here, LINKED)
                    continue
                self.entered.add(identity)
                entries = sorted(os.scandir(here), key=lambda entry: entry.name)
            except OSError:
                yield File(here, UNLISTED)
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    yield File(entry.path, HIDDEN)
                elif not os.path.isdir(entry.path):
                    yield File(entry.path, kind(entry.name))
                elif entry.is_symlink():
                    links.append((owner, entry.path))
                else:
                    waiting.append(entry.path)

    def passed(self, path: str, why: str, speaker: str = "") -> PassedOver:
        return PassedOver(shown(os.path.relpath(path, self.root)), why, speaker)


def _identity(path: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def losses(passed: Iterable[PassedOver]) -> str:
    """What was lost of sound before decoding, in words: '3 of .m4a (sound in a format that is not read: …)'."""
    counts = Counter((one.why, one.ending if one.why != UNLISTED else "") for one in passed if one.why in LOSSES)
    return "; ".join(f"{n}{f' of {end}' if end else ''} ({WHY[why]})" for (why, end), n in counts.most_common())
