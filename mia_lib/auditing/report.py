"""The results of an audit, and the files that they are written to."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mia_lib.auditing import exposure
from mia_lib.auditing.anonymous import anonymous as without_names
from mia_lib.auditing.balance import balance
from mia_lib.auditing.baseline import BLIND, blind
from mia_lib.auditing.columns import with_protocol
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.findings import CHANCE, findings, number
from mia_lib.auditing.gate import Condition, condition
from mia_lib.auditing.identity import data_hash
from mia_lib.auditing.judge import LACKS, records, trials
from mia_lib.auditing.page import audit_page
from mia_lib.auditing.trial import Trial
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import thinnest
from mia_lib.evaluation.records import COLUMNS
from mia_lib.evaluation.strongest import STRONGEST
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.files import read_json, write_atomically
from mia_lib.support.spreadsheets import to_csv
from mia_lib.support.versions import versions

DRAWS = 1000
FILES = ("results.csv", "recordings.csv", "people.csv", "index.html", "audit.json")
"""What an audit leaves in its folder; the last one says that it is complete."""


@dataclass(frozen=True)
class Report:
    """What an audit found. results: one row per number, with the columns of `results.csv` and the circumstances of each.
    recordings, people: who is exposed (`exposure`). about: what `audit.json` holds. trials: scores of each attack."""

    evidence: Evidence
    results: pd.DataFrame
    recordings: pd.DataFrame
    people: pd.DataFrame
    about: dict
    trials: list[Trial] = field(repr=False)
    blind: Trial | None = field(default=None, repr=False)

    def check(self, text: str) -> bool:
        """Whether a condition such as `auc < 0.6` holds for certain: `>` compares the lower end of the interval, `<` the
        upper end. Raises UsageError for what is no condition, MiaError for what this audit cannot tell."""
        return condition(text).holds(self.results)

    def save(self, path: str | Path) -> Path:
        """Write FILES into a folder, each whole or not at all; returns it. Raises MiaError where another audit's lie."""
        folder = Path(path)
        check_free(folder, self.about["data_hash"])
        page = audit_page(self, folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "results.csv", to_csv(self.results[COLUMNS]))
        write_atomically(folder / "recordings.csv", to_csv(self.recordings))
        write_atomically(folder / "people.csv", to_csv(self.people))
        write_atomically(folder / "index.html", page)
        write_atomically(folder / "audit.json", json.dumps(self.about, indent=1, default=str, allow_nan=False))
        return folder


def check_free(folder: Path, data: str) -> None:
    """Raise MiaError unless a folder can take an audit of data with this hash: it is new, empty, or holds one."""
    if folder.exists() and not folder.is_dir():
        raise MiaError(f"{folder} is a file: choose another folder for the audit")
    if not folder.exists() or not any(folder.iterdir()):
        return
    before = read_json(folder / "audit.json", {})
    if before.get("data_hash") != data:
        raise MiaError(f"{folder} holds something else than an audit of these data: choose another --run-id")


def judge(
    evidence: Evidence,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    protocol: str | None = None,
    anonymous: bool = False,
    audio: bool = True,
    attacks: Sequence[str] | None = None,
    fail_if: Iterable[Condition] = (),
    command: str = "",
) -> Report:
    """All attacks that the evidence allows, with controls, intervals and who is exposed.

    draws: of the bootstrap. protocol: see `columns.with_protocol`; None keeps that of the evidence. anonymous: numbers in
    place of names. audio: whether the page plays recordings and tables have their paths. attacks: which are tried;
    None tries all. fail_if: conditions whose outcome is recorded. command: what was typed, to be given again; it is kept
    unless names must not be. Raises MiaError, one sentence, where nothing can be told.
    """
    if draws < 2:
        raise UsageError(f"an interval needs at least 2 draws of the bootstrap, not {draws}")
    evidence = with_protocol(evidence, protocol or evidence.protocol)
    data = data_hash(evidence)
    shown = without_names(evidence) if anonymous else evidence if audio else replace(evidence, sound=None)
    if wanted := next((one for one in fail_if if one.attack == BLIND and shown.blind is None), None):
        raise MiaError(f"--fail-if {wanted.text!r}: {shown.name} lacks {LACKS['inputs']}")  # before what takes long
    found, not_run = trials(shown, seed, attacks)
    baseline = blind(shown, seed)
    results, best = records(shown, found, baseline, draws, seed)
    recordings = exposure.recordings(shown, found)
    people = exposure.people(shown, recordings, found)
    about = {
        "audited": _audited(shown), "protocol": shown.protocol, "data_hash": data,
        "parameters": dict(seed=seed, draws=draws, protocol=protocol, anonymous=anonymous, attacks=attacks),
        "command": "" if anonymous else command,
        "findings": findings(shown, results, found, best["auc"].attack, balance(shown, draws, seed)),
        "blind": None if baseline is None else _numbers(results, BLIND),
        "strongest": {
            measure: {
                "attack": best[measure].attack, "turned_round": _turned(results, best[measure].attack, measure),
                "out_of": best[measure].out_of, **numbers,
            }
            for measure, numbers in _numbers(results, STRONGEST).items()
        },
        "attacks": {one.attack: _numbers(results, one.attack) for one in found},
        "controls": _controls(results), "not_run": not_run,
        "sizes": {one.attack: _size(one.found.audit) for one in found},
        "lost": _lost(shown), "versions": versions(),
        "gate": [dict(condition=one.text, holds=one.holds(results)) for one in fail_if],
    }  # fmt: skip
    return Report(shown, results, recordings, people, about, found, baseline)


def _audited(evidence: Evidence) -> dict:
    """What was audited, and how much of it there is."""
    sides = {"members": evidence.member == 1, "non_members": evidence.member == 0}
    counts = {
        side: dict(
            rows=int(mask.sum()), recordings=len(set(evidence.recording[mask])),
            speakers=len(set(evidence.speaker[mask])) if evidence.speakers_known else None,
        )
        for side, mask in sides.items()
    }  # fmt: skip
    references = 0 if evidence.reference_answers is None else len(evidence.reference_answers)
    return dict(
        name=evidence.name, kind=evidence.kind, rows=len(evidence.answers), width=evidence.answers.shape[1], **counts,
        references=references, copies=0 if evidence.copies is None else len(evidence.copies),
        control_model=evidence.control is not None, coins=evidence.coins, found=evidence.found,
    )  # fmt: skip


def _size(audit: Audit) -> dict:
    """How many rows were judged, and how many speakers or recordings the thinner side has."""
    return dict(rows=len(audit.member), units=int(thinnest([audit]).value))


def _numbers(results: pd.DataFrame, attack: str) -> dict:
    """Every measure of one attack as value, low, high and n; what has no interval has None there."""
    rows = results[(results["attack"] == attack) & (results["control"] == "")]
    return {
        row["measure"]: {name: _plain(row[name]) for name in ("value", "low", "high", "n")}
        for row in rows.to_dict("records")
    }


def _turned(results: pd.DataFrame, attack: str, measure: str) -> bool:
    """Whether an attack is worse than chance by a measure whose chance is one half: it counts as it is turned round."""
    own = number(results, attack, measure)
    return measure in ("auc", "balanced_accuracy") and own is not None and own.value < CHANCE


def _controls(results: pd.DataFrame) -> dict:
    names = [name for name in results["control"].unique() if name]
    return {
        control: {
            attack: found.text()
            for attack in results["attack"].unique()
            if (found := number(results, attack, "auc", control))
        }
        for control in names
    }


def _lost(evidence: Evidence) -> list[dict]:
    return [] if evidence.lost is None else evidence.lost.to_dict("records")


def _plain(value):
    """A number as JSON knows it; None where it is none, or infinite."""
    number = float(value)
    return (
        None
        if not np.isfinite(number)
        else int(number)
        if number == int(number) and isinstance(value, (int, np.integer))
        else number
    )
