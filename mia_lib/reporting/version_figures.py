"""What is left of an attack for those who hold a version of the file."""

import pandas as pd
from matplotlib.figure import Figure

from mia_lib.reporting import figures
from mia_lib.studies.versions import HOLDING

HELD = {
    "file": "the file itself",
    "mp3": "MP3, 48 kbit/s",
    "telephone": "telephone (GSM)",
    "microphone": "far microphone in a room",
    "one_second": "one second of it",
    "slower": "5 % slower",
    "faster": "5 % faster",
    "talk": "somebody talks, 10 dB below",
}


def held(condition: str) -> str:
    """The words for a version, from the condition of its records."""
    return HELD.get(condition.removeprefix(HOLDING), condition)


def without_file(records: pd.DataFrame, rate: str, chance: float) -> Figure:
    """A rate of each attack (colours) with each version in hand (rows), with 95 % intervals."""
    part = records[(records["measure"] == rate) & (records["control"] == "")]
    return figures.intervals(part.assign(metric=rate, held=part["condition"].map(held)), rate, "held", "attack", chance)
