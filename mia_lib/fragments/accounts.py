"""Everything that was there is accounted for: each file of a corpus has one fate, and the counts are sums over these."""

from typing import TYPE_CHECKING

from mia_lib.corpora.base import Survey
from mia_lib.corpora.found import LOSSES, WHY, ending, losses
from mia_lib.support.errors import MiaError

if TYPE_CHECKING:
    import pandas as pd

KEPT = 50  # names and reasons listed in a report; all are counted
USED, DUPLICATE, SHORT, SILENT, BAD = "used", "duplicate", "short", "silent", "bad"
FEW, NOT_DRAWN = "few", "not_drawn"
FATES = {
    USED: "cut into fragments",
    DUPLICATE: "a copy of another recording",
    SHORT: "too short",
    SILENT: "nothing but silence in each fragment",
    BAD: "cannot be used",
    FEW: "of a speaker with too few recordings",
    NOT_DRAWN: "left out by max_speakers or max_utterances",
}
"""What became of recordings, beside the reasons why others were passed over (`corpora.found.WHY`)."""


def account(survey: Survey, chosen: "pd.DataFrame", fates: list[str], few: list[str]) -> dict:
    """What became of everything that was found, for the report.

    `found`, of which `files_<fate>` each; `accounts`, the same by speaker and ending; `passed_over_examples` and `notes`.
    chosen, fates: the recordings that were decoded and what became of each; few: speakers who had too few to begin with.
    """
    import pandas as pd

    rest = survey.table[~survey.table["utterance"].isin(chosen["utterance"])]
    left = [FEW if speaker in set(few) else NOT_DRAWN for speaker in rest["speaker"].astype("str")]
    every = pd.DataFrame(
        {
            "speaker": [
                *chosen["speaker"].astype("str"),
                *rest["speaker"].astype("str"),
                *(p.speaker for p in survey.passed),
            ],
            "ending": [*map(ending, chosen["path"]), *map(ending, rest["path"]), *(p.ending for p in survey.passed)],
            "fate": [*fates, *left, *(p.why for p in survey.passed)],
        }
    )
    by = every.groupby(["speaker", "ending", "fate"], sort=True).size().rename("files").reset_index()
    totals = {f"files_{fate}": int(n) for fate, n in every["fate"].value_counts().items()}
    return {
        "found": len(every),
        **{f"files_{fate}": 0 for fate in FATES},
        **totals,
        "duplicates": totals.get(f"files_{DUPLICATE}", 0),
        "accounts": [row | {"files": int(row["files"])} for row in by.to_dict("records")],
        "passed_over_examples": [f"{p.path}: {WHY[p.why]}" for p in survey.passed if p.why in LOSSES][:KEPT],
        "notes": list(survey.notes),
    }


def _lost(survey: Survey) -> tuple[int, int]:
    """How many recordings were lost before decoding, and how many there were."""
    lost = sum(passed.why in LOSSES for passed in survey.passed)
    return lost, len(survey.table) + lost


def refuse_lost(survey: Survey, max_bad: float) -> None:
    """Raise MiaError, before anything is decoded, if more than the share `max_bad` of the recordings was passed over."""
    lost, there = _lost(survey)
    if lost > max_bad * there:
        raise MiaError(
            f"{lost} of {there} recordings cannot be used, more than the {max_bad:.0%} that --max-bad allows: "
            f"{losses(survey.passed)}; the first is {next(p.path for p in survey.passed if p.why in LOSSES)}"
        )


def judge(report: dict, survey: Survey, max_bad: float) -> None:
    """Raise MiaError if one recording is under two speakers, or too many are lost: passed over, unreadable or silent.

    Where only some were drawn, the share that is bad among these is taken for that of all.
    """
    if report["shared"]:
        raise MiaError(
            f"the same recording is under two speakers ({len(report['shared'])} times): {report['shared'][0]}; "
            "keep it with the one who speaks"
        )
    (lost, there), total = _lost(survey), report["utterances"]
    bad = report["bad"] + report[f"files_{SILENT}"]
    share = lost / max(there, 1)
    if share + (1 - share) * bad / max(total, 1) > max_bad + 1e-12:
        before = f" (beside {lost} of {there} that were passed over: {losses(survey.passed)})" if lost else ""
        first = f"; the first is {report['bad_examples'][0]}" if report["bad_examples"] else ""
        raise MiaError(
            f"{bad} of {total} recordings cannot be used{before}, more than the {max_bad:.0%} that --max-bad allows{first}"
        )


def fates_by_ending(report: dict) -> dict[str, dict[str, int]]:
    """Ending -> what became of such files, in words -> how many; for tables that people read."""
    table: dict[str, dict[str, int]] = {}
    for row in report.get("accounts", []):
        told, words = (
            table.setdefault(row["ending"] or "none", {}),
            FATES.get(row["fate"]) or WHY[row["fate"]].partition(":")[0],
        )
        told[words] = told.get(words, 0) + row["files"]
    return table
