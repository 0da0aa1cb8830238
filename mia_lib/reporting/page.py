"""`index.html`: the report of a run, rendered from its records alone, in one file that needs nothing else."""

import base64
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mia_lib.corpora.base import is_synthetic, short_name
from mia_lib.evaluation import verdicts
from mia_lib.evaluation.claims import tally
from mia_lib.evaluation.controls import chance_of, place
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.rates import POOLED_LEVEL
from mia_lib.evaluation.reading import read_results
from mia_lib.evaluation.resolution import measurable, too_coarse
from mia_lib.fragments.accounts import fates_by_ending
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.reporting.headline import (
    attack_name,
    few_clusters,
    luck_of,
    one_target,
    position,
    strongest_attack,
    summary,
)
from mia_lib.reporting.measures import cell, kind, label, rank
from mia_lib.reporting.templates import rendered
from mia_lib.reporting.words import number, unmeasurable, written
from mia_lib.support.files import read_json, write_atomically
from mia_lib.support.progress import duration

CORNER = "strongest TPR at 0.1 % FPR"
CONTROLS_BEHIND = "negative controls of attacks behind defenses or that know them"
DEFENSE_COLUMNS = {
    "test accuracy": "rate",
    "paper's attack": "rate",
    "the same, adaptive": "rate",
    "strongest AUC, utterance": "score",
    CORNER: "rate",
    "strongest AUC, speaker": "score",
}
"""Columns of the table of defenses -> the kind of their numbers."""
UTILITY = ("train_accuracy", "test_accuracy", "calibration_error", "train_seconds")
"""Measures of how well a model does its work."""
CONTROL_VERDICTS = {"at": "chance", "above": "not chance", "below": "not chance", "unknown": "no interval"}


def write_report(run_folder: Path, results: pd.DataFrame | None = None, claims: pd.DataFrame | None = None) -> None:
    """Write `index.html` from the typed results, and the figures and times of the notebooks that `run.json` names.

    results, claims: as `merge_results` and `merge_claims` return them. Without results, what can be told from `results.csv`,
    which has no circumstances.
    """
    results = read_results(run_folder / "results.csv") if results is None else results
    run = read_json(run_folder / "run.json", {})
    parameters = run.get("parameters", {})
    page = rendered(
        "page.html",
        title=f"Whose voice was it trained on? {short_name(parameters.get('corpus', ''))}".strip(),
        run_id=run_folder.name,
        parameters=parameters,
        device=run.get("device", ""),
        claims=claim_table(claims) if claims is not None else [],
        tally=tally(claims["outcome"]) if claims is not None else "",
        corpora=[
            corpus_section(name, rows, one_target(run.get("settings", {}).get("repeats", 0)))
            for name, rows in results.groupby("corpus", sort=False)
        ],
        figures=figures(run_folder / "figures", list(run.get("notebooks", {}))),
        notebooks=[_times(name, entry) for name, entry in run.get("notebooks", {}).items()],
        failed=sorted(path.name.removesuffix(".failed.ipynb") for path in run_folder.glob("*.failed.ipynb")),
        facts=_facts(run),
        rule=verdicts.RULE,
        claimed=written(verdicts.CLAIMED, "rate"),
    )
    write_atomically(run_folder / "index.html", page)


def corpus_section(name: str, rows: pd.DataFrame, limits: Sequence[str] = ()) -> dict:
    """Everything that the report shows of one corpus, as text: summary, utility, a table per protocol, controls.

    limits: sentences on what its intervals do not hold.
    """
    rows = rows.assign(too_coarse=too_coarse(rows))
    judged, plain = rows, rows["defense"].isin(("none", "")) & ~rows["adaptive"]
    behind = rows[~plain & (rows["control"] != "")]
    rows = rows[plain]
    control = rows["control"] != ""
    utility, attacks = (
        rows[rows["measure"].isin(UTILITY) & (rows["attack"] == "none") & ~control],
        rows[(rows["attack"] != "none") & ~control],
    )
    controls = [_control(row) for row in rows[control].to_dict("records")]
    named = {protocol: group for protocol, group in attacks.groupby("protocol")}
    protocols = sorted(named, key=position)
    strongest = [found for p in protocols if (found := strongest_attack(p, named[p]))]
    return {
        "name": short_name(name),
        "synthetic": is_synthetic(name),
        "summary": summary(
            name, utility, strongest, [one["place"] for one in controls], [*few_clusters(attacks), *limits]
        ),
        "strongest": strongest,
        "utility": [_models(row) for row in sorted(utility.to_dict("records"), key=rank)],
        "protocols": [protocol_table(protocol, named[protocol]) for protocol in protocols],
        "controls": control_table(controls),
        "controls_behind": luck_of((_control(row)["place"] for row in behind.to_dict("records")), CONTROLS_BEHIND),
        "defenses": defense_table(judged),
        "defense_columns": list(DEFENSE_COLUMNS),
    }


def judged_defenses(records: pd.DataFrame) -> pd.DataFrame:
    """Numbers and verdicts of the defenses that were judged, and of no defense (`verdicts.summary`); empty where none was."""
    judged = records["adaptive"] & (records["attack"] == "lira_online") & (records["metric"] == "auc")
    known = records[judged]["defense"].unique()
    return pd.DataFrame() if set(known) <= {"none"} else verdicts.summary(records[records["defense"].isin(known)])


def defense_table(records: pd.DataFrame) -> list[dict]:
    """One row per judged defense of a corpus, beside no defense: numbers as text, and the verdict computed from them."""
    table = judged_defenses(records)
    lines = []
    for name, row in sorted(table.iterrows(), key=lambda pair: pair[0] != "none"):
        about = {"defense": name, "claim": row["the paper says"], "by": row["by"].replace("_", " ")}
        about |= {key: written(row[key], kind) for key, kind in DEFENSE_COLUMNS.items()}
        if not measurable(POOLED_LEVEL, row["non-members"]):
            about[CORNER] = unmeasurable(row["non-members"])
        lines.append(about | {key: row[key] for key in ("verdict", "evidence")})
    return lines


def claim_table(claims: pd.DataFrame) -> list[dict]:
    """One row per claim: its sentence, its outcome, the numbers compared and their difference, as text."""
    rows = []
    for row in claims.to_dict("records"):
        one, other = (Measure(row[side], row[f"{side}_low"], row[f"{side}_high"], 0) for side in ("one", "other"))
        gap = Measure(row["difference"], row["low"], row["high"], 0)
        measured, fixed = row["one"] == row["one"], row["other_low"] == row["other_high"]  # NaN differs from itself
        about = {"question": row["question"], "outcome": row["outcome"], "origin": str(row["claim"]).partition(".")[0]}
        about |= {"one": number(one) if measured else "–", "difference": gap.signed() if measured else "–"}
        rows.append(about | {"other": "–" if not measured else f"{other.value:g}" if fixed else number(other)})
    return rows


def protocol_table(protocol: str, rows: pd.DataFrame) -> dict:
    """One protocol's numbers: a row per metric, a column per attack."""
    records = rows.to_dict("records")
    attacks = sorted({attack_name(row) for row in records})
    cells = {(row["metric"], attack_name(row)): cell(row) for row in records}
    table = []
    for row in {row["metric"]: row for row in sorted(records, key=rank)}.values():
        line = [cells.get((row["metric"], attack)) for attack in attacks]
        sizes = dict.fromkeys(c["n"] for c in line if c and c["n"])
        table.append({"label": label(row), "cells": line, "n": ", ".join(sizes), "headline": row["metric"] == "auc"})
    return {"protocol": protocol, "meaning": PROTOCOLS.get(protocol, ""), "attacks": attacks, "rows": table}


def control_table(controls: list[dict]) -> dict | None:
    """The negative controls: a row per protocol and attack, a column per control."""
    labels = list(dict.fromkeys(one["label"] for one in sorted(controls, key=lambda one: one["rank"])))
    rows: dict[tuple[str, str], dict] = {}
    for one in sorted(controls, key=lambda one: position(one["protocol"])):
        rows.setdefault((one["protocol"], one["attack"]), {})[one["label"]] = one
    lines = [
        {"protocol": p, "attack": a, "cells": [cells.get(label) for label in labels]} for (p, a), cells in rows.items()
    ]
    return {"labels": labels, "rows": lines} if lines else None


def figures(folder: Path, notebooks: list[str]) -> list[dict]:
    """The figures of some notebooks in the order of their names: content in base64, caption, and who made it."""
    found = []
    for path in sorted(folder.glob("*.png")):
        if not any(path.stem.startswith(f"{name}-") for name in notebooks):
            continue
        caption = path.with_suffix(".txt")
        text = caption.read_text(encoding="utf-8").strip() if caption.exists() else path.stem
        data = base64.b64encode(path.read_bytes()).decode()
        found.append({"data": data, "caption": text, "origin": path.stem.partition("-")[0]})
    return found


def _control(row: dict) -> dict:
    """A negative control and its verdict: chance, if the interval contains that of its measure, which its label says where
    it is not one half."""
    where, chance = "unknown" if row["too_coarse"] else place(row), chance_of(row["measure"])
    shown = cell(row)
    if chance != 0.5:
        shown["label"] += f" (chance: {written(chance, kind(row['measure']))})"
    about = {"attack": attack_name(row), "protocol": row["protocol"], "place": where}
    return shown | about | {"verdict": CONTROL_VERDICTS[where]}


def _models(row: dict) -> dict:
    """How well some models do their work, and which: rows without a protocol are of the targets."""
    of = "reference models" if row["protocol"] else "targets"
    return cell(row) | {"models": of}


def _times(name: str, entry: dict) -> dict:
    """A notebook's wall time and its three longest computed stages."""
    computed = [stage for stage in entry.get("stages", []) if not stage.get("cached")]
    longest = sorted(computed, key=lambda stage: -stage["seconds"])[:3]
    stages = ", ".join(f"{stage['stage']} {duration(stage['seconds'])}" for stage in longest)
    return {"name": name, "seconds": duration(entry.get("seconds") or 0), "stages": stages or "all from the cache"}


def _facts(run: dict) -> dict[str, dict]:
    """The request, the data, the settings and the versions: title -> name -> value."""
    data = {name: value for name, value in run.get("data", {}).items() if not isinstance(value, list)}
    code = run.get("versions", {}) | {"commit": run.get("commit"), "peak memory (MB)": run.get("peak_memory_mb")}
    facts = {
        "Parameters": run.get("parameters", {}),
        "Settings": run.get("settings", {}),
        "Data": data,
        "Files found, by ending": {
            ending: ", ".join(f"{files:,} {fate}" for fate, files in fates.items())
            for ending, fates in fates_by_ending(run.get("data", {})).items()
        },
        "Versions": code,
    }
    return {
        title: {name: value for name, value in part.items() if value not in (None, "")}
        for title, part in facts.items()
        if part or title != "Files found, by ending"
    }
