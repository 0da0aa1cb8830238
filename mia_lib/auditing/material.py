"""The recordings of an audit as models can be asked about them: heard, checked against each other and cut into rows."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from mia_lib.auditing.hearing import Audio, Heard, Sounds, hear, windows
from mia_lib.auditing.listing import UNKNOWN, Listed, Listing, listed
from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.corpora.base import Survey
from mia_lib.corpora.found import LOSSES, WHY
from mia_lib.fragments.accounts import refuse_lost
from mia_lib.fragments.duplicates import compare, originals
from mia_lib.support.digests import digest
from mia_lib.support.errors import MiaError, UsageError


@dataclass(frozen=True)
class Material:
    """Recordings that can be used, and rows of them.

    table: R recordings with the columns path, name, speaker, member (-1 where nobody said). sounds: all that were heard, of
    which the table's are `heard` [R]. audio: the rows; of: int64 [N], the row's recording in the table. lost: path and
    reason of every recording that is not in it; found: how many there were. spare: how many more may be lost. key: digest of
    the recordings and of who speaks in them.
    """

    table: pd.DataFrame
    sounds: Sounds
    heard: np.ndarray
    audio: Audio
    of: np.ndarray
    lost: pd.DataFrame
    found: int
    spare: int
    key: str

    def column(self, name: str) -> np.ndarray:
        """A column of the table for each row: [N]."""
        return self.table[name].to_numpy()[self.of]

    def signals(self) -> list[np.ndarray]:
        """The recordings' samples, int16 [T] each."""
        return [self.sounds[i] for i in self.heard]


def material(
    members: Any,
    non_members: Any = None,
    population: Any = None,
    *,
    sided: bool = True,
    seconds: float = 3.0,
    max_bad: float = 0.05,
    workers: int | None = None,
) -> Material:
    """Decode the recordings of both sides and cut them into rows of `seconds` (0: whole recordings).

    members, non_members, population, sided: as for `listed`. What cannot be read is lost, and so are copies on the same side.
    Raises MiaError where more than the share `max_bad` of the recordings cannot be used, a recording is on both sides or
    under two speakers, or a side is left empty.
    """
    if not (0 <= seconds <= 120 and (seconds == 0 or seconds >= 0.1)):
        raise UsageError(f"--seconds must lie between 0.1 and 120, or be 0 for whole recordings, not {seconds:g}")
    if not 0 <= max_bad <= 1:
        raise UsageError(f"--max-bad must lie between 0 and 1, not {max_bad:g}")
    listing = listed(members, non_members, sided, population)
    refuse_lost(Survey(listing.table, listing.passed), max_bad)
    sounds, about = hear(Listed(), listing.utterances(), workers)
    reasons = [heard.bad for heard in about]
    spare = _spare(listing, reasons, max_bad)
    copies(listing, about, reasons, workers)
    length = round(seconds * SAMPLE_RATE)
    cut = [([], why) if why else windows(sounds[i], length) for i, why in enumerate(reasons)]
    used = np.array([i for i, (starts, _) in enumerate(cut) if starts], np.int64)
    table = listing.table.iloc[used].reset_index(drop=True)
    _need_sides(table, sided, cut)
    of = np.repeat(np.arange(len(used)), [len(cut[i][0]) for i in used])
    audio = Audio(sounds, used[of], np.concatenate([cut[i][0] for i in used]).astype(np.int64), length)
    lost = _lost(listing, [why for _, why in cut])
    return Material(table, sounds, used, audio, of, lost, len(table) + len(lost), spare, _key(table, about, used))


def _spare(listing: Listing, reasons: list[str], max_bad: float) -> int:
    """How many recordings may still be lost; raises MiaError where too many are bad already."""
    lost = sum(passed.why in LOSSES for passed in listing.passed)
    bad = [why for why in reasons if why]
    allowed = int(max_bad * (len(reasons) + lost) + 1e-9)
    if len(bad) + lost > allowed:
        raise MiaError(
            f"{len(bad) + lost} of {len(reasons) + lost} recordings cannot be used, more than the {max_bad:.0%} that "
            f"--max-bad allows; the first is {bad[0]}"
        )
    return allowed - len(bad) - lost


def copies(listing: Listing, about: list[Heard], reasons: list[str], workers: int | None) -> None:
    """Note as lost the copies of a recording on its own side; refuse one on both sides, or under two speakers."""
    rows, table = listing.utterances(), listing.table
    original = originals(
        [heard.mark for heard in about], [row.source for row in rows], partial(compare, Listed(), rows, workers)
    )
    for i in np.flatnonzero(original != np.arange(len(rows))):
        one, other = table.iloc[original[i]], table.iloc[i]
        if one["member"] != other["member"]:
            raise MiaError(
                f"one recording is on both sides, as {_side(one)} {one['name']} and {_side(other)} {other['name']}: keep it "
                "where it belongs"
            )
        if one["speaker"] != other["speaker"]:
            raise MiaError(
                f"one recording is under two speakers, as {one['name']} of {one['speaker']} and {other['name']} of "
                f"{other['speaker']}: keep it with the one who speaks"
            )
        reasons[i] = reasons[i] or f"a copy of {one['name']}"


def _side(row: pd.Series) -> str:
    return {1: "the member", 0: "the non-member"}.get(row["member"], "one of the population,")


def _need_sides(table: pd.DataFrame, sided: bool, cut: list[tuple[list[int], str]]) -> None:
    why = next((f": {why}" for _, why in cut if why), "")
    for member, name in {1: "member", 0: "non-member"}.items() if sided else {UNKNOWN: "recording"}.items():
        if not (table["member"] == member).any():
            raise MiaError(f"no {name} is left that can be used{why}")


def _key(table: pd.DataFrame, about: list[Heard], used: np.ndarray) -> str:
    return digest([[about[i].mark.digest.hex() for i in used], [*table["speaker"]]])


def _lost(listing: Listing, reasons: list[str]) -> pd.DataFrame:
    rows = [(passed.path, WHY[passed.why]) for passed in listing.passed if passed.why in LOSSES]
    rows += [(name, why) for name, why in zip(listing.table["name"], reasons, strict=True) if why]
    return pd.DataFrame(rows, columns=["path", "reason"])
