"""What a reader expected, beside what was measured: forecasts scored, and beliefs that held or fell."""

import math

from mia_lib.evaluation.claims import FAILS, HOLDS, UNDECIDED, Outcome
from mia_lib.evaluation.intervals import Measure
from mia_lib.reporting.words import UNITS, worded, written
from mia_lib.support.errors import UsageError

WORDS = {HOLDS: "held", FAILS: "fell", UNDECIDED: "undecided"}


def table(beliefs: dict[str, tuple[str, Outcome | None]]) -> str:
    """Beliefs (name -> sentence, and what became of it or None) as a Markdown table, below it how many held."""
    if not beliefs:
        return "Nothing was believed or claimed beforehand."
    rows, words = ["| belief or claim | | measured |", "| --- | --- | --- |"], []
    for question, outcome in beliefs.values():
        words.append("not decided" if outcome is None else WORDS[outcome.word])
        numbers = "" if outcome is None else outcome.numbers().removeprefix("(").removesuffix(")")
        rows.append(f"| {_in_cell(question)} | **{words[-1]}** | {_in_cell(numbers)} |")
    counts = [f"{words.count(word)} {word}" for word in (*WORDS.values(), "not decided") if word in words]
    return "\n".join(rows) + f"\n\nBeliefs and claims: {', '.join(counts)}."


def _in_cell(text: str) -> str:
    """Text that does not end a cell of a table."""
    return text.replace("|", "\\|")


def scored(
    said: float | None, measured: Measure, about: str = "", kind: str = "rate", over: str = "", under: str = ""
) -> str:
    """A forecast beside what was measured, in a sentence.

    said: what the reader wrote down; None where the cell was run as it came. about: of what, where several are scored. kind:
    `rate` (shares, said in percent), `points` (differences of these) or `score`. over, under: what a forecast above or below
    the whole interval tells of its author. Raises UsageError for what is no number from 0 to 1.
    """
    found, named = worded(measured, kind), f"{about}: " if about else ""
    about_interval = "" if math.isnan(measured.low) else " (95 % interval)"
    if said is None:
        return f"{named}You wrote no forecast, so nothing is scored. Measured: **{found}**{about_interval}."
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= 1:
        raise UsageError(f"a forecast is a number from 0 to 1, such as 0.7, or None, not {said!r}")
    distance = said - measured.value
    off = f"{100 * abs(distance):.1f} points" if kind in UNITS else f"{abs(distance):.3f}"
    low, high = (measured.value, measured.value) if math.isnan(measured.low) else (measured.low, measured.high)
    if low <= said <= high:
        judgement = "Within the interval: your forecast cannot be told from what was measured."
    else:
        judgement = f"{off} too {'high' if distance > 0 else 'low'}. {over if distance > 0 else under}".rstrip()
    return f"{named}You said {written(said, kind)}. Measured: **{found}**{about_interval}. {judgement}"
