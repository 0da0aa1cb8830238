"""Claims: sentences on numbers that the numbers themselves find true, false or undecided.

A claim says beforehand which records it compares, in which direction and by how much; what becomes of it is decided by the
95 % interval of the difference. Notebooks and report show nothing about numbers that is not decided in this way.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

from mia_lib.evaluation.differences import at_least, difference
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.reading import COUNTS, measure_of, with_circumstances
from mia_lib.support.errors import UsageError

DIRECTIONS = ("above", "below", "near")
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
CLAIM_COLUMNS = ["corpus", "profile", "seed", "claim", "question", "direction", "margin", "outcome", "one", "one_low"]
CLAIM_COLUMNS += ["one_high", "other", "other_low", "other_high", "difference", "low", "high"]
"""The columns of `claims.csv`."""


@dataclass(frozen=True)
class Pick:
    """Which record a claim looks at. None and an empty corpus match any; circumstances that are not named must be absent."""

    measure: str
    attack: str = "none"
    protocol: str | None = None
    defense: str = "none"
    adaptive: bool | None = None
    corpus: str = ""
    condition: str = ""
    enrolment: int = 0
    references: int = 0
    queries: int = 0
    control: str = ""

    def find(self, records: pd.DataFrame) -> Measure | None:
        """The first such record; None where there is none."""
        table, wanted = with_circumstances(records), {k: v for k, v in asdict(self).items() if v is not None}
        if not self.corpus:
            del wanted["corpus"]
        mask = pd.Series(True, index=table.index)
        for column, value in wanted.items():
            mask &= table[column].astype(int) == value if column in COUNTS else table[column] == value
        rows = table[mask.to_numpy()]
        return None if rows.empty else measure_of(rows.iloc[0])


@dataclass(frozen=True)
class Claim:
    """A sentence that may be true or false of some records.

    id: `06.some-words`, beginning with its notebook. question: the sentence, for people. one, other: what is compared, the
    second possibly a fixed number. direction: `one` lies `above`, `below` or `near` the other, by more than `margin`, or for
    `near` within it. floor: what either counts for where it lies below, such as guessing.
    Raises UsageError for another direction, and for `near` without a margin.
    """

    id: str
    question: str
    one: Pick
    other: Pick | float
    direction: str = "above"
    margin: float = 0.0
    floor: float = -math.inf

    def __post_init__(self):
        if self.direction not in DIRECTIONS:
            raise UsageError(f"unknown direction {self.direction!r} of claim {self.id}: one of {', '.join(DIRECTIONS)}")
        if self.margin < 0 or (self.direction == "near" and not self.margin):
            raise UsageError(f"claim {self.id} needs a margin above 0 within which numbers are near")


@dataclass(frozen=True)
class Outcome:
    """What became of a claim, and the numbers that decide it; None where something was not measured."""

    claim: Claim
    word: str
    one: Measure | None = None
    other: Measure | None = None
    gap: Measure | None = None

    def sentence(self) -> str:
        """The claim, its outcome and the numbers, in Markdown."""
        return f"**{self.word.capitalize()}:** {self.claim.question} {self.numbers()}"

    def numbers(self) -> str:
        """The numbers that decide it."""
        return compared(self.one, self.other, self.gap, self.claim.margin)

    def row(self, about: dict) -> dict:
        """A row of `claims.csv`; about: corpus, profile and seed."""
        fields = dict(claim=self.claim.id, question=self.claim.question, direction=self.claim.direction)
        row = about | fields | dict(margin=self.claim.margin, outcome=self.word)
        for name, measure in (("one", self.one), ("other", self.other), ("difference", self.gap)):
            values = (measure.value, measure.low, measure.high) if measure else (math.nan,) * 3
            row |= dict(zip((name, *_ends(name)), values, strict=True))
        return row


def measures_of(row: dict) -> tuple[Measure | None, Measure | None, Measure | None]:
    """What a row of `claims.csv` compares, and the difference; None where it was not measured."""
    found: list[Measure | None] = []
    for name in ("one", "other", "difference"):
        value, low, high = (float(row[column]) for column in (name, *_ends(name)))
        found.append(None if math.isnan(value) else Measure(value, low, high, 0))
    return found[0], found[1], found[2]


def compared(one: Measure | None, other: Measure | None, gap: Measure | None, margin: float = 0.0) -> str:
    """The numbers that decide a claim, in brackets, as far as they were measured, and its margin where it has one; a fixed
    number needs no difference."""
    if one is None or gap is None or other is None:
        return "(not measured)"
    within = f", margin {margin:g}" if margin else ""
    if any(math.isnan(side.low) for side in (one, other)):
        within += ", too few data for an interval"
    if is_fixed(other):
        return f"({one.text()} beside {other.value:g}{within})"
    return f"({one.text()} beside {other.text()}, difference {gap.signed()}{within})"


def is_fixed(measure: Measure) -> bool:
    """Whether a number was given, not measured."""
    return measure.low == measure.high


def _ends(name: str) -> tuple[str, str]:
    """The columns of an interval."""
    return ("low", "high") if name == "difference" else (f"{name}_low", f"{name}_high")


def decide(claim: Claim, records: pd.DataFrame) -> Outcome:
    """What becomes of a claim on some records.

    `holds` and `does not hold` only where the whole interval of the difference says so (`difference`); `undecided` elsewhere,
    where a number has no interval, and where one was not measured.
    """
    one = claim.one.find(records)
    fixed = claim.other if isinstance(claim.other, float) else None
    other = claim.other.find(records) if isinstance(claim.other, Pick) else None
    if fixed is not None:
        other = Measure(fixed, fixed, fixed, 0)
    if one is None or other is None:
        return Outcome(claim, UNDECIDED)
    one, other = (at_least(side, claim.floor) for side in (one, other))
    gap = difference(one, other)
    return Outcome(claim, word_of(gap, claim.direction, claim.margin), one, other, gap)


def word_of(gap: Measure, direction: str, margin: float) -> str:
    """What a difference with its interval decides: HOLDS, FAILS or UNDECIDED."""
    if math.isnan(gap.low) or math.isnan(gap.high):
        return UNDECIDED
    if direction == "near":
        if -margin <= gap.low and gap.high <= margin:
            return HOLDS
        return FAILS if gap.low > margin or gap.high < -margin else UNDECIDED
    low, high = (gap.low, gap.high) if direction == "above" else (-gap.high, -gap.low)
    if low > margin:
        return HOLDS
    return FAILS if high <= margin else UNDECIDED


def tally(words: Iterable[str]) -> str:
    """How many claims hold, do not and are undecided, in a sentence; empty where there are none."""
    found = list(words)
    if not found:
        return ""
    counts = {word: found.count(word) for word in (HOLDS, FAILS, UNDECIDED)}
    hold = "holds" if counts[HOLDS] == 1 else "hold"
    fail = "does" if counts[FAILS] == 1 else "do"
    return (
        f"Of {len(found)} claims that were stated beforehand, {counts[HOLDS]} {hold}, {counts[FAILS]} {fail} not, and "
        f"{counts[UNDECIDED]} cannot be told."
    )
