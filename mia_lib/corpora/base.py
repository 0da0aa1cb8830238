"""What every corpus offers: a cheap table of its utterances, and the sound of one of them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from mia_lib.corpora.audio import read_audio
from mia_lib.corpora.found import PassedOver, real, shown
from mia_lib.support.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

CORPORA = Registry("corpus", "mia_lib.corpora")


class Utterance(NamedTuple):
    """One row of a corpus table; None or NA where a corpus does not know."""

    utterance: str  # unique
    speaker: str
    source: str  # the source segment: recordings of one source must never be split
    path: str  # relative to the corpus, or the specification of a synthetic utterance
    gender: str | None = None
    subset: str | None = None
    room: str | None = None
    mic: str | None = None
    distractor: str | None = None
    degrees: int | None = None


COLUMNS = Utterance._fields


class Survey(NamedTuple):
    """All that was found of a corpus: what can be read, and what was passed over before anything was decoded."""

    table: "pd.DataFrame"
    passed: Sequence[PassedOver] = ()
    notes: Sequence[str] = ()  # sentences about tables beside the audio


class Corpus:
    """A set of utterances with speaker labels. Small enough to be sent to worker processes: tables are not kept.

    argument: what follows the colon in `name:argument`. data_root: folder of local corpora. seed: decides what a
    synthetic corpus sounds like. download: whether a missing corpus may be fetched.
    """

    name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    synthetic: ClassVar[bool] = False
    argument_is_path: ClassVar[bool] = False
    """Whether what follows the colon is a path: it is then made absolute, and pages show its last part only."""

    def __init__(self, argument: str = "", data_root: Path = Path("data"), seed: int = 0, download: bool = False):
        self.argument, self.data_root, self.seed, self.download = argument, data_root, seed, download

    def table(self) -> "pd.DataFrame":
        """One row per utterance, columns `COLUMNS`; opens no audio. Raises MiaError if the corpus is missing."""
        raise NotImplementedError

    def survey(self) -> Survey:
        """The table, and whatever else lies there; corpora that look through folders answer this one."""
        return Survey(self.table())

    def read(self, row: Utterance) -> tuple[np.ndarray, int]:
        """Samples (float32, [n] or [n, channels]) and sampling rate; raises MiaError naming a broken recording."""
        raise NotImplementedError

    def played(self, source: str, subset: str | None = None) -> np.ndarray | None:
        """What was replayed where speech was recorded again in rooms: samples of a source, float32 [n] at 16 kHz, before any
        room. None where a corpus has no such sound."""
        return None

    def fingerprint(self, table: "pd.DataFrame") -> str:
        """Digest of what the audio of the rows of `table` depends on."""
        raise NotImplementedError

    def changed_since(self, table: "pd.DataFrame", moment: int) -> str:
        """The first file of these rows that was changed or replaced after a moment (nanoseconds since 1970) or is gone, as it
        is shown; "" where there is none, or that cannot be told."""
        return ""


class FileCorpus(Corpus):
    """A corpus of audio files below `self.root`: has `table`, or a `survey` that also says what was passed over."""

    root: Path

    def table(self) -> "pd.DataFrame":
        return self.survey().table

    def read(self, row: Utterance) -> tuple[np.ndarray, int]:
        return read_audio(self.root / real(row.path))

    def fingerprint(self, table: "pd.DataFrame") -> str:
        """Digest of the paths, sizes and times of the files of these rows: when each was last written, and when the system
        last noted a change, which no program can set back; Windows notes there when a file was made."""
        import hashlib

        state, root = hashlib.sha256(), os.fspath(self.root)
        for first in range(0, len(table), 10_000):  # in pieces: a million paths need not be Python strings at once
            for path in table["path"].iloc[first : first + 10_000]:
                state.update(f"{path} {_file_state(os.path.join(root, real(path)))}\n".encode())
        return state.hexdigest()[:16]

    def changed_since(self, table: "pd.DataFrame", moment: int) -> str:
        for path in table["path"]:
            try:
                status = os.stat(self.root / real(path))
            except OSError:
                return shown(real(path))
            if max(status.st_mtime_ns, status.st_ctime_ns) >= moment:
                return shown(real(path))
        return ""


def _file_state(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "missing"
    if not os.access(path, os.R_OK):  # it may be allowed later, which changes neither size nor time
        return "not allowed"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def make_table(rows: Iterable[Utterance]) -> "pd.DataFrame":
    """A corpus table from its rows, in the order of their speakers and utterances; each recording has a name of its own."""
    import pandas as pd

    table = pd.DataFrame(distinct(rows), columns=list(COLUMNS))
    return tidy(table.sort_values(["speaker", "utterance"], ignore_index=True))


def distinct(rows: Iterable[Utterance]) -> Iterator[Utterance]:
    """The rows; where two names read the same (accents in two forms, one ending in small and in capital letters), those after
    the first are numbered, since they are different recordings."""
    seen: set[str] = set()
    for row in rows:
        name, number = row.utterance, 1
        while name in seen:
            name, number = f"{row.utterance} ({number + 1})", number + 1
        seen.add(name)
        yield (
            row
            if name == row.utterance
            else row._replace(utterance=name, source=name if row.source == row.utterance else row.source)
        )


def tidy(table: "pd.DataFrame") -> "pd.DataFrame":
    """`table` with exactly the columns `COLUMNS`, repeated strings as categories, `degrees` as nullable integers."""
    import pandas as pd

    table = table.reindex(columns=list(COLUMNS))
    table["degrees"] = table["degrees"].astype("Int16")
    for column in ("speaker", "source", "gender", "subset", "room", "mic", "distractor"):
        if not isinstance(table[column].dtype, pd.CategoricalDtype):
            table[column] = table[column].astype("str").astype("category")
    return table


def utterances(table: "pd.DataFrame") -> Iterator[Utterance]:
    """The rows of a corpus table."""
    return map(Utterance._make, table.itertuples(index=False, name=None))


def open_corpus(name: str, data_root: str | Path | None = None, seed: int = 0, download: bool = False) -> Corpus:
    """The corpus called `name`, written `demo` or with an argument as in `librispeech:dev-clean`.

    data_root: folder of local corpora; None means the environment variable MIA_DATA_ROOT, or else `data`.
    Raises UsageError for an unknown name or argument; that a corpus is missing shows when its table is read.
    """
    kind, _, argument = name.partition(":")
    root = Path(os.path.expanduser(real(str(data_root or os.environ.get("MIA_DATA_ROOT") or "data"))))
    corpus = CORPORA.get(kind)(argument, root, seed, download)
    corpus.name = name
    return corpus


def kind_of(name: str) -> type[Corpus] | None:
    """The class behind a corpus name; None for a name that is unknown (records of somebody else's corpus)."""
    kind = name.partition(":")[0]
    return CORPORA.get(kind) if kind in CORPORA.names() else None


def short_name(name: str) -> str:
    """A corpus name without the folders that lead to an own corpus."""
    kind, _, argument = name.partition(":")
    corpus = kind_of(name)
    return f"{kind}:{Path(argument).name}" if corpus and corpus.argument_is_path and argument else name


def is_synthetic(name: str) -> bool:
    """Whether the voices of a corpus are nobody's."""
    kind = kind_of(name)
    return kind is not None and kind.synthetic
