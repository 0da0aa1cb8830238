"""One decoded utterance, and the sum of all: what decoding leaves behind beside the audio."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mia_lib.corpora.base import Corpus, utterances
from mia_lib.fragments.accounts import BAD, DUPLICATE, KEPT, USED
from mia_lib.fragments.duplicates import Mark, compare, originals

if TYPE_CHECKING:
    import pandas as pd


class Cut(NamedTuple):
    """One decoded utterance: its fragments, or the reason why it cannot be used."""

    pieces: np.ndarray  # [k, samples] int16
    places: Sequence[int] = ()  # which of the utterance's fragments they are: silent ones are left out
    rate: int = 0  # Hz, before resampling
    fate: str = BAD  # USED, SHORT, SILENT or BAD
    mark: Mark = Mark()
    silent: int = 0  # fragments left out
    notes: tuple[str, ...] = ()  # what was done to it; the names of counts in the report
    bad: str = ""


@dataclass
class Tally:
    """What decoding left behind, beside the audio: arrays with one entry per fragment, and counts per utterance."""

    rows: array = field(default_factory=lambda: array("q"))  # number of its utterance
    places: array = field(default_factory=lambda: array("q"))  # its number within the utterance
    rates: array = field(default_factory=lambda: array("i"))  # Hz, of the recording
    counts: Counter = field(default_factory=Counter)
    fates: list[str] = field(default_factory=list)  # per utterance
    marks: list[Mark] = field(default_factory=list)
    bad_examples: list[str] = field(default_factory=list)
    duplicate_examples: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)  # recordings of two speakers

    def add(self, cut: Cut) -> None:
        """Count one utterance."""
        self.rows.extend([self.counts["utterances"]] * len(cut.pieces))
        self.places.extend(cut.places)
        self.rates.extend([cut.rate] * len(cut.pieces))
        self.fates.append(cut.fate)
        self.marks.append(cut.mark)
        self.counts.update(["utterances", "bad" if cut.bad else "read", *cut.notes])
        self.counts["silent_fragments"] += cut.silent
        if cut.bad and len(self.bad_examples) < KEPT:
            self.bad_examples.append(cut.bad)

    def find_copies(self, corpus: Corpus, chosen: "pd.DataFrame", workers: int | None) -> None:
        """Let the first of several equal recordings stand, and note those of one voice under two names. chosen: the rows of
        the first recordings that were added."""
        rows = list(utterances(chosen))
        self.duplicate_examples, self.shared = [], []
        copy_of = originals(
            self.marks[: len(rows)], [row.source for row in rows], partial(compare, corpus, rows, workers)
        )
        for i in np.flatnonzero(copy_of != np.arange(len(rows))):
            one, other = rows[copy_of[i]], rows[i]
            if self.fates[i] == USED:
                self.fates[i] = DUPLICATE
            examples = self.duplicate_examples if one.speaker == other.speaker else self.shared
            if len(examples) < KEPT:
                examples.append(
                    f"{other.utterance} of {other.speaker} is the recording {one.utterance} of {one.speaker}"
                )
