"""What the reference runs found, a line for each of the series' main claims, as the project's first page shows it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from mia_lib.evaluation.claims import compared, measures_of

MAIN = (
    "00.paper", "00.recordings", "00.persons", "06.corner", "06.file", "15.names", "08.pruned",
    "08.pruned_accuracy", "11.high", "12.gap", "13.trap", "14.retrained", "14.fine_tuned",
)  # fmt: skip
"""Claims of which there is a line. Those of notebook 12, on the defense that it recommends, are shown besides."""
RECOMMENDED = "12."
BEGIN, END = "<!-- found -->\n", "<!-- end of found -->\n"


def lines(claims: pd.DataFrame) -> Iterator[str]:
    """A line of Markdown for each main claim that is in a table of claims (`claims.csv`), in the order of the series."""
    rows = {row["claim"]: row for row in claims.to_dict("records")}
    for name in sorted(rows, key=lambda name: (name[:2], name)):
        if name in MAIN or (name.startswith(RECOMMENDED) and name.count(".") > 1):
            row = rows[name]
            numbers = compared(*measures_of(row), row["margin"])
            yield f"- {row['question']} **{row['outcome'].capitalize()}** {numbers}."


def recommended(claims: pd.DataFrame) -> str:
    """The defense that notebook 12's rule recommends, by the claims on it; empty where there are none."""
    names = [
        name.removeprefix(RECOMMENDED).rpartition(".")[0] for name in claims["claim"] if name.startswith(RECOMMENDED)
    ]
    return next(filter(None, names), "")


def block(runs: Iterable[tuple[str, pd.DataFrame]]) -> str:
    """What all runs found, each under its name: runs are names with tables of claims."""
    parts = []
    for name, claims in runs:
        best, told = recommended(claims), list(lines(claims))
        advised = f", where the rule of notebook 12 recommends the defense `{best}`" if best else ""
        head = f"On `{name}`{advised} ({len(told)} of the {len(claims)} claims of the run):"
        parts.append(f"{head}\n\n" + "\n".join(told) + "\n")
    return BEGIN + "\n".join(parts) + END


def renewed(text: str, found: str) -> str:
    """A page with another block in the place of its own; as it is where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + found + after if begin and end else text


def found_in(reference: Path) -> str:
    """The block of the runs that lie in the reference's folder."""
    paths = sorted(reference.glob("*/claims.csv"))
    return block((path.parent.name, pd.read_csv(path)) for path in paths)
