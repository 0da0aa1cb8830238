"""Which recordings are on which side of an audit: two folders, or one table of path, speaker and member."""

import os
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mia_lib.corpora.base import FileCorpus, Utterance
from mia_lib.corpora.folder import FolderCorpus
from mia_lib.corpora.found import PassedOver, kept, real, shown
from mia_lib.corpora.people import read_people
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.spreadsheets import as_it_was

COLUMNS = ("path", "name", "speaker", "member")
MEMBER = {"1": 1, "true": 1, "yes": 1, "0": 0, "false": 0, "no": 0}
UNKNOWN = -1


class Listed(FileCorpus):
    """Recordings by their whole paths, wherever they lie."""

    name, root = "recordings", Path()


class Listing(NamedTuple):
    """Recordings to be heard: the columns path (whole, as corpora keep it), name (as it is shown), speaker and member (1, 0,
    or -1 where nobody said); and what was passed over in their folders."""

    table: pd.DataFrame
    passed: list[PassedOver]

    def utterances(self) -> list[Utterance]:
        """The same as rows of a corpus, each a source of its own."""
        rows = zip(self.table["name"], self.table["speaker"], self.table["path"], strict=True)
        return [Utterance(name, speaker, f"{i}", path) for i, (name, speaker, path) in enumerate(rows)]


def listed(members: Any, non_members: Any = None, sided: bool = True, population: Any = None) -> Listing:
    """The recordings of a folder of members and one of non-members, or those of one table for both sides.

    members, non_members: paths of folders with a folder per speaker; or members alone, a CSV or a DataFrame with the columns
    path (relative to the CSV), speaker and member (1 or 0). sided: whether it must be known which side each is on; else one
    folder, or a table without the column member, will do. population: a folder of recordings on neither side. Raises
    UsageError where it is not said what belongs to which side, MiaError for a folder or table that cannot be used.
    """
    if isinstance(members, pd.DataFrame) or os.path.isfile(os.path.expanduser(members)):
        if non_members is not None:
            raise UsageError(f"{_called(members)} lists members and non-members both: leave --non-members out")
        return _joined([Listing(_of_table(members, sided), []), *_population(population)])
    if non_members is None and sided and os.path.isdir(os.path.expanduser(members)):
        raise UsageError(
            f"--members {members} is a folder: say --non-members too, or give a table of path, speaker, member"
        )
    sides = [(members, 1 if sided else UNKNOWN)] + ([(non_members, 0)] if non_members is not None else [])
    return _joined([*(_of_folder(folder, member) for folder, member in sides), *_population(population)])


def _population(folder: Any) -> list[Listing]:
    return [] if folder is None else [_of_folder(folder, UNKNOWN)]


def _joined(parts: list[Listing]) -> Listing:
    table = pd.concat([part.table for part in parts], ignore_index=True)
    return Listing(table, [passed for part in parts for passed in part.passed])


def _called(table: Any) -> str:
    return "the table" if isinstance(table, pd.DataFrame) else os.fspath(table)


def _of_folder(folder: str | os.PathLike, member: int) -> Listing:
    corpus = FolderCorpus(kept(os.fspath(folder)))
    survey = corpus.survey()
    paths = [os.path.abspath(corpus.root / real(path)) for path in survey.table["path"]]
    names = [shown(os.path.join(folder, utterance)) for utterance in survey.table["utterance"]]
    columns = ([kept(path) for path in paths], names, survey.table["speaker"].astype("str"), np.int8(member))
    passed = [one._replace(path=shown(os.path.join(folder, one.path))) for one in survey.passed]
    return Listing(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))), passed)


def _of_table(source: Any, sided: bool) -> pd.DataFrame:
    called, here = _called(source), Path()
    if isinstance(source, pd.DataFrame):
        rows = source.rename(columns=lambda name: str(name).lower())
    else:
        path = Path(os.path.expanduser(source))
        here, rows = path.absolute().parent, as_it_was(pd.DataFrame(read_people(path)))
    needed = ["path", "speaker", *(["member"] if sided else [])]
    if absent := [name for name in needed if name not in rows]:
        raise MiaError(f"{called}: needs the columns {', '.join(needed)}, and has no {' and no '.join(absent)}")
    if rows.empty:
        raise MiaError(f"{called}: lists no recording")
    paths, speakers = rows["path"].astype(str), rows["speaker"].astype(str)
    for column, values in (("path", paths), ("speaker", speakers)):
        if (empty := np.flatnonzero(values.str.strip() == "")).size:
            raise MiaError(f"{called}: recording {empty[0] + 1} has no {column}")
    member = (
        [_member(value, path, called) for value, path in zip(rows["member"], paths, strict=True)] if sided else UNKNOWN
    )
    whole = [kept(os.path.abspath(here / os.path.expanduser(path))) for path in paths]
    names = [shown(path) for path in paths]
    table = pd.DataFrame({"path": whole, "name": names, "speaker": [_normal(speaker) for speaker in speakers]})
    table["member"] = np.asarray(member, np.int8)
    return _once(table, called)


def _once(table: pd.DataFrame, called: str) -> pd.DataFrame:
    """Refuse a table in which one file stands twice."""
    if (again := table["path"].duplicated()).any():
        raise MiaError(f"{called}: lists {table['name'][again].iloc[0]} twice: keep one row for each recording")
    return table


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def _member(value: Any, path: str, called: str) -> int:
    text = str(value).strip().lower().removesuffix(".0")
    if text not in MEMBER:
        raise MiaError(f"{called}: member of {path} must be 1 or 0, not {str(value)!r}")
    return MEMBER[text]
