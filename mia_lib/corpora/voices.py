"""`voices`: VOiCES, LibriSpeech replayed in real rooms, in its published tree (iqtlabs.github.io/voices)."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mia_lib.corpora import CORPORA
from mia_lib.corpora.audio import read_audio, resample, to_mono
from mia_lib.corpora.base import FileCorpus, Survey, tidy
from mia_lib.corpora.found import LISTED_TWICE, NOT_LISTED, PassedOver, Walk
from mia_lib.support.errors import MiaError, UsageError

if TYPE_CHECKING:
    import pandas as pd

SPEECH = "distant-16k/speech"  # below the root; beside it lie sounds of nobody
SOURCES = "source-16k"
"""What the loudspeakers played, below the root; an edition may lack it."""
INDEX = ["speaker", "chapter", "segment", "filename", "gender", "room", "mic", "distractor", "degrees"]
"""The columns used of references/train_index.csv and test_index.csv."""
DEGREES = range(-360, 361)


@CORPORA.register("voices")
class Voices(FileCorpus):
    """Far-field speech in real rooms with distractors: VOiCES, `voices[:devkit|release]` (release if none is named)."""

    description = "VOiCES: LibriSpeech replayed in four furnished rooms, with distractors and up to 20 microphones"
    licence = "CC BY 4.0, Lab41, SRI International and the LibriSpeech readers"

    def __init__(self, argument: str = "", *args, **kwargs):
        super().__init__(argument, *args, **kwargs)
        self.edition = argument or "release"
        if self.edition not in ("devkit", "release"):
            raise UsageError(f"unknown VOiCES edition {argument!r}: choose devkit or release")
        is_tree = (self.data_root / "references").is_dir()
        self.root = self.data_root if is_tree else self.data_root / f"VOiCES_{self.edition}"

    def _source(self, source: str, subset: str | None) -> Path:
        """Where the sound of a source lies that was played."""
        name = f"Lab41-SRI-VOiCES-src-{source}.wav"
        return self.root / SOURCES / str(subset) / source.partition("-")[0] / name

    def survey(self) -> Survey:
        import pandas as pd

        indexes = {subset: self.root / "references" / f"{subset}_index.csv" for subset in ("train", "test")}
        indexes = {subset: path for subset, path in indexes.items() if path.is_file()}
        if not indexes:
            raise MiaError(
                f"VOiCES is not at {self.root}: fetch VOiCES_{self.edition}.tar.gz from the public bucket "
                "s3://lab41openaudiocorpus and unpack it there, or give the folder that holds "
                f"VOiCES_{self.edition} by --data-root DIR or MIA_DATA_ROOT"
            )
        table = pd.concat([_read_index(path, subset) for subset, path in indexes.items()], ignore_index=True)
        again = table["path"].duplicated()
        alike = table["utterance"].duplicated(keep=False)  # one name in several folders
        table["utterance"] = table["utterance"].mask(alike, table["path"])
        twice = table.loc[again, ["path", "speaker"]].astype("str").itertuples(index=False, name=None)
        passed = [PassedOver(path, LISTED_TWICE, speaker) for path, speaker in twice]
        passed += self._not_listed(table["path"])
        unknown = sum(one.why == NOT_LISTED for one in passed)
        notes = [f"{unknown:,} recordings below {SPEECH} are in no index"] if unknown else []
        return Survey(tidy(table[~again].reset_index(drop=True)), passed, notes)

    def played(self, source: str, subset: str | None = None) -> np.ndarray | None:
        path = self._source(source, subset)
        if not path.is_file():
            return None
        samples, rate = read_audio(path)
        return resample(to_mono(samples), rate)

    def _not_listed(self, listed: "pd.Series") -> Iterator[PassedOver]:
        """What lies where the index has its recordings, and is in no index."""
        speech, walk = os.path.join(self.root, SPEECH), Walk(self.root)
        if not os.path.isdir(speech):
            return
        known = set(listed)
        for _, (path, why) in walk.files([speech]):
            if why or Path(os.path.relpath(path, self.root)).as_posix() not in known:
                yield walk.passed(path, why or NOT_LISTED)


def _read_index(path: Path, subset: str) -> "pd.DataFrame":
    """One index file as a corpus table; the unit that must not be split is the replayed source segment."""
    import pyarrow as pa
    from pyarrow import compute, csv

    repeated = pa.dictionary(pa.int32(), pa.string())
    kinds = dict.fromkeys(INDEX, repeated) | {"filename": pa.string(), "degrees": pa.float64()}
    try:
        index = csv.read_csv(
            path,
            parse_options=csv.ParseOptions(newlines_in_values=True),  # in transcripts
            convert_options=csv.ConvertOptions(include_columns=INDEX, column_types=kinds),
        )
    except (pa.ArrowException, KeyError, OSError) as error:
        reason = str(error).strip("'\"").splitlines()[0]
        raise MiaError(f"{path}: cannot be read as an index with columns {', '.join(INDEX)} ({reason})") from None
    stems = compute.replace_substring_regex(index["filename"], r"^.*/|\.[^./]*$", "")
    table = index.append_column("utterance", stems).to_pandas().rename(columns={"filename": "path"})
    if (nameless := table["path"] == "").any():
        raise MiaError(f"{path}: row {int(nameless.argmax()) + 1} has no filename")
    degrees = table["degrees"]
    if (odd := degrees.notna() & ~degrees.isin(DEGREES)).any():
        row = int(odd.argmax())
        raise MiaError(
            f"{path}: degrees of row {row + 1} are {degrees[row]:g}: they must be whole numbers from "
            f"{DEGREES[0]} to {DEGREES[-1]}, or empty"
        )
    return table.assign(source=_sources(table), subset=subset)


def _sources(table: "pd.DataFrame") -> "pd.Categorical":
    """Names like sp0032-ch004137-sg0007 of the source segments, as categories."""
    import pandas as pd

    segments = table[["speaker", "chapter", "segment"]]
    codes = segments.groupby(list(segments), observed=True, sort=False).ngroup()
    names = [
        f"sp{speaker:0>4}-ch{chapter:0>6}-sg{segment:0>4}"
        for speaker, chapter, segment in segments[~codes.duplicated()].itertuples(index=False)
    ]
    return pd.Categorical.from_codes(codes, names)
