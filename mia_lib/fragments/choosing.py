"""Which speakers and recordings of a corpus are used, drawn by the seed; and which take the places of copies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mia_lib.fragments.accounts import DUPLICATE
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError
from mia_lib.support.settings import MIN_SOURCES, MIN_SPEAKERS

if TYPE_CHECKING:
    import pandas as pd

    from mia_lib.support.settings import Settings

SPARE = 3
"""Times as many further sources of a speaker as are used may be tried where those drawn turn out to be copies."""


class Choice(NamedTuple):
    """Rows of a corpus table that are used; speakers who have too few; and the rows of the sources that come next should
    some of those drawn be copies, `most` of a speaker's being wanted, in the order in which they were drawn."""

    rows: "pd.DataFrame"
    dropped: list[str]
    spare: "pd.DataFrame"
    most: int

    def instead_of_copies(self, taken: "pd.DataFrame", fates: Sequence[str]) -> "pd.DataFrame":
        """The next of the spare rows, for as many sources of each speaker as turned out to be nothing but copies; none where
        there are none. taken: the rows so far, of which each has one of `fates`."""
        left = self.spare[~self.spare["source"].isin(taken["source"])]
        if left.empty:
            return left
        own = taken[[fate != DUPLICATE for fate in fates]].astype({"speaker": "str"})
        have = own.groupby("speaker")["source"].nunique()
        next_ones = left[["speaker", "source"]].drop_duplicates()
        speakers = next_ones["speaker"].astype("str")
        wanted = self.most - speakers.map(have).fillna(0).astype(int)
        now = next_ones[speakers.groupby(speakers).cumcount() < wanted]
        return left[left["source"].isin(now["source"])]


def choose(table: "pd.DataFrame", settings: "Settings", seed: int) -> Choice:
    """The rows of at most `max_speakers` speakers and `max_utterances` sources of each, drawn by `seed`.

    All recordings of a chosen source are kept. Raises MiaError if speakers are too few.
    """
    random = generator(seed, "speakers and recordings of a corpus")
    sources = table[["speaker", "source"]].drop_duplicates()
    counts = sources["speaker"].value_counts().sort_index()
    usable = counts.index[counts >= MIN_SOURCES].astype("str")
    dropped = sorted(counts.index[(counts > 0) & (counts < MIN_SOURCES)].astype("str"))
    need_speakers(len(usable), dropped)
    speakers = random.permutation(np.sort(np.asarray(usable, dtype=object)))[: settings.max_speakers or None]
    sources, most, spare = sources[sources["speaker"].isin(speakers)], settings.max_utterances, table[:0]
    if most:
        shuffled = sources.iloc[random.permutation(len(sources))]
        place = shuffled.groupby("speaker", observed=True).cumcount()
        spare = _rows(table, shuffled[(most <= place) & (place < (1 + SPARE) * most)])
        sources = shuffled[place < most]
    chosen = table[table["speaker"].isin(speakers) & table["source"].isin(sources["source"])]
    return Choice(chosen.reset_index(drop=True), dropped, spare, most)


def _rows(table: "pd.DataFrame", sources: "pd.DataFrame") -> "pd.DataFrame":
    """The rows of some sources, in the order of these."""
    order = dict(zip(sources["source"].astype("str"), range(len(sources)), strict=True))
    rows = table[table["source"].isin(sources["source"])]
    return rows.iloc[np.argsort([order[source] for source in rows["source"].astype("str")], kind="stable")]


def need_speakers(count: int, dropped: list[str], why: str = "") -> None:
    """Raise MiaError unless speakers are enough; dropped: who has too few recordings. why: said in place of that."""
    if count >= MIN_SPEAKERS:
        return
    few = f"; too few have {', '.join(dropped[:5])}{' and others' if len(dropped) > 5 else ''}" if dropped else ""
    raise MiaError(
        f"a corpus needs at least {MIN_SPEAKERS} speakers with {MIN_SOURCES} usable utterances each, "
        f"and this one has {count}{why or few}"
    )
