"""Who is exposed: how far each recording, and each person, gives itself away to the strongest attack."""

import numpy as np
import pandas as pd
from scipy.stats import t as student

from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.trial import Trial, scores_by_row
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import clopper_pearson
from mia_lib.evaluation.rates import threshold_at

LEVEL = 0.01
"""The false-positive rate at which an attack is said to find a recording."""
RECORDING_COLUMNS = [
    "recording", "speaker", "member", "exposure", "low", "high", "rank", "found", "attacks", "found_by", "stability",
]  # fmt: skip
PEOPLE_COLUMNS = [
    "speaker", "member", "recordings", "exposure", "low", "high", "rank", "recordings_found", "found", "attacks",
    "found_by", "stability",
]  # fmt: skip


def recordings(evidence: Evidence, trials: list[Trial]) -> pd.DataFrame:
    """One row per audited recording, the most exposed first.

    exposure: the share of the other non-member recordings that the strongest attack on recordings (by its AUC, out of all)
    scores lower, equal ones counted half; low and high: its exact 95 % interval by the number of non-members (Clopper and
    Pearson 1934). Where only persons were judged: theirs, among persons. found: how many of the `attacks` that were tried
    call any of its rows a member where 1 % of the non-members are; found_by: their names. stability: the share of refits of
    the strongest attack (other folds, half of the reference models) in which it is on the same side of that threshold; NaN
    where nothing is refitted. sound: where it can be heard, if that is known.
    """
    able = [one for one in trials if not one.by_person] or trials
    best = max(able, key=lambda one: _auc(one.found.audit))
    audited = np.flatnonzero(evidence.member >= 0)
    _, first, code = np.unique(evidence.unit[audited], return_index=True, return_inverse=True)
    member = evidence.member[audited][first] == 1
    mean = _mean(scores_by_row(best.found.audit, len(evidence.member))[audited], code)
    found = np.stack([_any(found_rows(one.found.audit, evidence), code, audited) for one in trials])
    if persons_only(trials, evidence):
        place, judged = _place_of(evidence.speaker[audited][first], best.found.audit, evidence), best.found.audit
        mean, (value, low, high) = (
            judged.scores[place],
            (part[place] for part in shares_below(judged.scores, judged.member)),
        )
    else:
        value, low, high = shares_below(mean, member)
    table = pd.DataFrame(dict(
        recording=evidence.recording[audited][first], speaker=evidence.speaker[audited][first], member=member.astype(int),
        exposure=value, low=low, high=high, rank=0, found=found.sum(0), attacks=len(trials),
        found_by=_names(found, trials),
        stability=_stability(best, evidence, code, audited),
    ))  # fmt: skip
    columns = list(RECORDING_COLUMNS)
    if evidence.sound is not None:
        table["sound"] = evidence.sound[audited][first]
        columns.append("sound")
    return _ranked(table.assign(score=mean))[columns]


def people(evidence: Evidence, table: pd.DataFrame, trials: list[Trial]) -> pd.DataFrame:
    """One row per speaker and side, the most exposed first, from the recordings' table.

    exposure: the mean of the recordings'; low and high: its 95 % interval by Student's t over recordings, NaN for a single
    one. Where only persons were judged: their own. recordings_found: how many are found by any attack. found: how many of
    the `attacks`, those on persons too, find any of the person's recordings; found_by: their names. stability: the mean of
    the recordings'.
    """
    found = {side: np.stack([_found_speakers(one, evidence, side) for one in trials]) for side in (0, 1)}
    speakers, rows, whole = np.unique(evidence.speaker), [], persons_only(trials, evidence)
    for (speaker, member), own in table.groupby(["speaker", "member"], sort=True):
        value, n = own["exposure"].mean(), len(own)
        half = student.ppf(0.975, n - 1) * own["exposure"].std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        low, high = np.clip([value - half, value + half], 0, 1)
        if whole:
            low, high = own[["low", "high"]].iloc[0]
        finders = found[member][:, np.searchsorted(speakers, speaker)]
        rows.append(dict(
            speaker=speaker, member=member, recordings=n, exposure=value, low=low, high=high, rank=0,
            recordings_found=int((own["found"] > 0).sum()),
            found=int(finders.sum()), attacks=len(trials), found_by=_names(finders[:, None], trials)[0],
            stability=own["stability"].mean(), score=value,
        ))  # fmt: skip
    return _ranked(pd.DataFrame(rows))[PEOPLE_COLUMNS]


def shares_below(scores: np.ndarray, member: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each score, float [n], the share of the other non-members that lie below it, with its exact interval."""
    others = np.sort(scores[~member])
    lower, upper = np.searchsorted(others, scores, "left"), np.searchsorted(others, scores, "right")
    count = len(others) - (~member)  # without itself
    if not count.min():
        return (np.full(len(scores), np.nan),) * 3
    below = lower + (upper - lower - (~member)) / 2
    ends = {
        (b, n): clopper_pearson(b, n)
        for b, n in set(zip(np.round(below).astype(int).tolist(), count.tolist(), strict=True))
    }
    pairs = np.array([ends[b, n] for b, n in zip(np.round(below).astype(int).tolist(), count.tolist(), strict=True)])
    share = below / count
    return share, np.minimum(pairs[:, 0], share), np.maximum(pairs[:, 1], share)


def found_rows(audit: Audit, evidence: Evidence) -> np.ndarray:
    """Rows that an attack calls members where LEVEL of its non-members are, bool [N]; a person's score is for all rows."""
    called = np.zeros(len(evidence.member), dtype=bool)
    called[audit.rows] = audit.scores >= threshold_at(audit.scores, audit.member, LEVEL)
    if evidence.protocol == "speaker" and len(audit.rows) == len(set(evidence.speaker[audit.rows])):
        called = np.isin(evidence.speaker, evidence.speaker[called]) & (evidence.member >= 0)
    return called


def persons_only(trials: list[Trial], evidence: Evidence) -> bool:
    """Whether each attack judged persons once, by all of their recordings."""
    return evidence.protocol == "speaker" and all(one.by_person for one in trials)


def _place_of(speaker: np.ndarray, audit: Audit, evidence: Evidence) -> np.ndarray:
    """Where each of some speakers, str [n], stands in an audit of persons: int [n]."""
    judged = evidence.speaker[audit.rows]
    order = np.argsort(judged)
    return order[np.searchsorted(judged, speaker, sorter=order)]


def _names(found: np.ndarray, trials: list[Trial]) -> list[str]:
    """The names of the attacks that find each of n, from bool [attacks, n]."""
    kinds, kind = np.unique(found, axis=1, return_inverse=True)
    words = [
        "; ".join(one.attack for one, is_found in zip(trials, column, strict=True) if is_found) for column in kinds.T
    ]
    return [words[i] for i in kind.ravel()]


def _found_speakers(trial: Trial, evidence: Evidence, side: int) -> np.ndarray:
    names, code = np.unique(evidence.speaker, return_inverse=True)
    rows = found_rows(trial.found.audit, evidence) & (evidence.member == side)
    return np.bincount(code[rows], minlength=len(names)) > 0


def _stability(best: Trial, evidence: Evidence, code: np.ndarray, audited: np.ndarray) -> np.ndarray | float:
    if not best.again:
        return np.nan
    own = _any(found_rows(best.found.audit, evidence), code, audited)
    return np.mean([_any(found_rows(one, evidence), code, audited) == own for one in best.again], axis=0)


def _any(called: np.ndarray, code: np.ndarray, audited: np.ndarray) -> np.ndarray:
    """Whether any row of each recording is called, bool [recordings], from rows [N]."""
    return np.bincount(code, called[audited]) > 0


def _mean(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Mean over the rows of each recording that have a value; NaN where none has."""
    known = np.isfinite(values) | np.isinf(values)
    size = code.max() + 1
    with np.errstate(invalid="ignore"):
        return np.bincount(code[known], values[known], size) / np.bincount(code[known], minlength=size)


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """By falling exposure, and within it by falling score; rank 1 is the most exposed, equal ones share theirs."""
    table = table.sort_values(["exposure", "score"], ascending=False, kind="stable", ignore_index=True)
    return table.assign(rank=table["exposure"].rank(method="min", ascending=False).fillna(0).astype(int))


def _auc(audit: Audit) -> float:
    from mia_lib.attacks.rmia import auc

    return auc(audit.scores, audit.member)
