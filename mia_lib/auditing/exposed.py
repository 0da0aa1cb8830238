"""Who is most exposed, as the page shows it: the first rows of both tables, counts, and sounds."""

import math
from typing import TYPE_CHECKING

import pandas as pd

from mia_lib.auditing.exposure import persons_only
from mia_lib.auditing.players import short_sound
from mia_lib.reporting.words import between, written

if TYPE_CHECKING:
    from mia_lib.auditing.report import Report

SHOWN = 20
"""Rows of each table on the page; the files hold all."""
HEARD = 10
"""Recordings that can be heard."""


def exposed(report: "Report") -> dict:
    """Members of both tables by falling exposure, and how many are found, in words. No persons where nobody is known; of
    those who were judged as a whole, one recording each."""
    evidence, people = report.evidence, report.people if report.evidence.speakers_known else report.people[:0]
    recordings, whole = report.recordings, persons_only(report.trials, evidence)
    inside = recordings[recordings["member"] == 1]
    shown = (inside.drop_duplicates("speaker") if whole else inside).head(SHOWN)
    rows = [_row(row, "recording") for row in shown.to_dict("records")]
    for row, path in zip(rows, shown["sound"].head(HEARD) if "sound" in shown else [], strict=False):
        row["sound"] = short_sound(path)
    persons = people[people["member"] == 1]
    counts = {} if whole else {"recordings": recordings}
    counts |= {"persons": people} if len(people) else {}
    return {
        "recordings": rows,
        "people": [_row(row, "speaker") for row in persons.head(SHOWN).to_dict("records")],
        "counts": [_found(what, table, evidence.protocol) for what, table in counts.items()],
        "whole": whole,
        "heard": sum(bool(row.get("sound")) for row in rows),
        "all": {"recordings": len(inside), "people": len(persons)},
        "stable": any(row["stability"] for row in rows),
    }


def _row(row: dict, name: str) -> dict:
    """A recording or person as text."""
    known = not math.isnan(row["low"])
    return {
        "name": row[name], "speaker": row["speaker"], "rank": row["rank"],
        "exposure": written(row["exposure"], "rate") + (f" {between(row['low'], row['high'], 'rate')}" if known else ""),
        "found": f"{row['found']} of {row['attacks']}", "found_by": row["found_by"].replace("; ", ", "),
        "stability": "" if math.isnan(row["stability"]) else f"{100 * row['stability']:.0f} %",
        "recordings": f"{row['recordings_found']} of {row['recordings']}" if name == "speaker" else "",
    }  # fmt: skip


def _found(what: str, table: pd.DataFrame, protocol: str) -> str:
    """How many members, and how many non-members, some attack takes for members."""
    sides = [table[table["member"] == side]["found"] > 0 for side in (1, 0)]
    found, false = (f"{int(side.sum()):,} of {len(side):,}" for side in sides)
    if what == "persons" and protocol == "utterance":
        return f"{found} persons have a recording that was trained on and that some attack finds."
    return f"Some attack finds {found} {what} that were trained on, and takes {false} that were not for such."
