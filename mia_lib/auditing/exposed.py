"""Who is most exposed, as the page shows it: the first rows of both tables, counts, and sounds."""

import math

import pandas as pd

from mia_lib.auditing.players import short_sound
from mia_lib.reporting.words import between, written

SHOWN = 20
"""Rows of each table on the page; the files hold all."""
HEARD = 10
"""Recordings that can be heard."""


def exposed(recordings: pd.DataFrame, people: pd.DataFrame, protocol: str, speakers_known: bool) -> dict:
    """Members of both tables by falling exposure, and how many are found, in words; no persons where nobody is known."""
    inside = {"recordings": recordings, "people": people if speakers_known else people[:0]}
    members = {name: table[table["member"] == 1] for name, table in inside.items()}
    sounds = members["recordings"]["sound"].head(HEARD) if "sound" in recordings else []
    rows = [_row(row, "recording") for row in members["recordings"].head(SHOWN).to_dict("records")]
    for row, path in zip(rows, sounds, strict=False):
        row["sound"] = short_sound(path)
    return {
        "recordings": rows,
        "people": [_row(row, "speaker") for row in members["people"].head(SHOWN).to_dict("records")],
        "counts": [_found(name, table, protocol) for name, table in inside.items() if len(table)],
        "heard": any(row.get("sound") for row in rows),
        "all": {name: len(table) for name, table in members.items()},
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


def _found(name: str, table: pd.DataFrame, protocol: str) -> str:
    """How many members, and how many non-members, some attack takes for members."""
    sides = [table[table["member"] == side]["found"] > 0 for side in (1, 0)]
    found, false = (f"{int(side.sum()):,} of {len(side):,}" for side in sides)
    if name == "people" and protocol == "utterance":
        return f"Of {found} persons with recordings that were trained on, some attack finds one of these at least."
    one = "recordings" if name == "recordings" else "persons"
    return f"Some attack finds {found} {one} that were trained on, and takes {false} that were not for such."
