"""What defenses with extra recordings are worth: beside a model trained on those alone, and what becomes of those."""

import pandas as pd

from mia_lib.evaluation.differences import compared, difference, turned
from mia_lib.evaluation.reading import measure_of, pick

BASELINE = "reference_only"
GIVEN = "reference_recordings"
WORDS = {
    "more": "more accurate than",
    "less": "less accurate than",
    "as much": "as accurate as",
    "undecided": "not told from",
}


def beside_baseline(records: pd.DataFrame) -> list[str]:
    """A sentence on each defense of judged records that was given extra recordings; none where no baseline was judged.

    Is it more accurate than a model that was trained on those recordings alone, and are they themselves found out?
    """
    if BASELINE not in set(records["defense"]):
        return []
    alone = pick(records[records["defense"] == BASELINE], "test_accuracy")
    given = records[(records["condition"] == GIVEN) & (records["measure"] == "auc")]
    sentences = []
    for name in dict.fromkeys(given["defense"]):
        part = given[given["defense"] == name]
        best = part.iloc[int((part["value"] - 0.5).abs().to_numpy().argmax())]
        leak, round_ = turned(measure_of(best)), ", turned round" * bool(best["value"] < 0.5)
        leaked = (
            f"its reference recordings are found with AUC {leak.text()} by {best['attack']}{round_}, the strongest of "
            f"{len(part)} attacks that need no reference models"
        )
        if name == BASELINE:
            sentences.append(f"`{name}`: accuracy {alone.text()} without any private recording; {leaked}.")
            continue
        own = pick(records[records["defense"] == name], "test_accuracy")
        gain = difference(own, alone)
        word = WORDS[compared(gain, 0.0)]
        sentences.append(
            f"`{name}`: accuracy {own.text()}, {word} {alone.text()} of a model trained on its reference recordings alone "
            f"(difference {gain.text()}); {leaked}."
        )
    return sentences
