"""`index.html`: the report of a run, rendered from its records alone, in one file that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mia_lib.corpora.base import is_synthetic, short_name
from mia_lib.evaluation import verdicts
from mia_lib.evaluation.claims import is_fixed, measures_of, tally
from mia_lib.evaluation.controls import chance_of, place
from mia_lib.evaluation.reading import read_results
from mia_lib.evaluation.resolution import too_coarse
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.reporting.exhibits import figures
from mia_lib.reporting.facts import command, facts, times, when
from mia_lib.reporting.glossary import GLOSSARY
from mia_lib.reporting.headline import (
    attack_name,
    exposed,
    few_clusters,
    luck_of,
    one_target,
    position,
    strongest_attack,
    summary,
)
from mia_lib.reporting.judged import COLUMNS, defense_table, judged_defenses, plane_of
from mia_lib.reporting.measures import cell, circumstances, kind, rank
from mia_lib.reporting.templates import rendered
from mia_lib.reporting.words import number, written
from mia_lib.support.files import read_json, write_atomically

__all__ = ["CONTROL_VERDICTS", "claim_table", "corpus_section", "judged_defenses", "write_report"]

CONTROLS_BEHIND = "negative controls of attacks behind defenses or that know them"
UTILITY = ("train_accuracy", "test_accuracy", "calibration_error", "train_seconds")
"""Measures of how well a model does its work."""
CONTROL_VERDICTS = {"at": "chance", "above": "not chance", "below": "not chance", "unknown": "no interval"}
RATES = {
    "auc": "AUC",
    "tpr_at_fpr_1e-2": "found at 1 % false positives",
    "tpr_at_fpr_1e-3_pooled": "found at 0.1 %, pooled",
    "balanced_accuracy": "balanced accuracy",
}
"""Measures that the table of attacks shows -> how it calls them; the others are folded away."""


def write_report(run_folder: Path, results: pd.DataFrame | None = None, claims: pd.DataFrame | None = None) -> None:
    """Write `index.html` from the typed results, and the figures and times of the notebooks that `run.json` names.

    results, claims: as `merge_results` and `merge_claims` return them. Without results, what can be told from `results.csv`,
    which has no circumstances.
    """
    results = read_results(run_folder / "results.csv") if results is None else results
    run = read_json(run_folder / "run.json", {})
    parameters, notebooks = run.get("parameters", {}), run.get("notebooks", {})
    limits = one_target(run.get("settings", {}).get("repeats", 0))
    page = rendered(
        "page.html",
        title=f"Whose voice was it trained on? {short_name(parameters.get('corpus', ''))}".strip(),
        run_id=run_folder.name,
        parameters=parameters | {"corpus": short_name(parameters.get("corpus", ""))},
        device=run.get("device", ""),
        when=when(run),
        command=command(run),
        claims=claim_table(claims) if claims is not None else [],
        tally=tally(claims["outcome"]) if claims is not None else "",
        corpora=[corpus_section(name, rows, limits) for name, rows in by_corpus(results, parameters.get("corpus", ""))],
        figures=figures(run_folder, list(notebooks)),
        notebooks=[times(run_folder, name, entry) for name, entry in notebooks.items()],
        pages=(run_folder / "pages" / "index.html").is_file(),
        failed=sorted(path.name.removesuffix(".failed.ipynb") for path in run_folder.glob("*.failed.ipynb")),
        facts=facts(run),
        rule=verdicts.RULE,
        claimed=written(verdicts.CLAIMED, "rate"),
        glossary=GLOSSARY,
    )
    write_atomically(run_folder / "index.html", page)


def by_corpus(results: pd.DataFrame, main: str) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each corpus, those of the run's own first."""
    return sorted(results.groupby("corpus", sort=False), key=lambda pair: pair[0] != main)


def corpus_section(name: str, rows: pd.DataFrame, limits: Sequence[str] = ()) -> dict:
    """Everything that the report shows of one corpus, as text: summary, plane, utility, attacks by protocol, controls.

    limits: sentences on what its intervals do not hold.
    """
    rows = rows.assign(too_coarse=too_coarse(rows))
    judged, plain = rows, rows["defense"].isin(("none", "")) & ~rows["adaptive"]
    behind = [_control(row) for row in rows[~plain & (rows["control"] != "")].to_dict("records")]
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
    warnings = [*few_clusters(attacks), *limits]
    return {
        "name": short_name(name),
        "synthetic": is_synthetic(name),
        "summary": summary(name, utility, strongest, [one["place"] for one in controls], warnings),
        "strongest": strongest,
        "plane": plane_of(judged),
        "utility": [_models(row) for row in sorted(utility.to_dict("records"), key=rank)],
        "protocols": [protocol_table(protocol, named[protocol]) for protocol in protocols],
        "rates": list(RATES.values()),
        "controls": control_table(controls),
        "controls_behind": luck_of((one["place"] for one in behind), CONTROLS_BEHIND),
        "controls_of_defenses": control_table(behind),
        "defenses": defense_table(judged),
        "defense_columns": list(COLUMNS),
        "exposed": exposed(attacks),
        "warnings": warnings,
    }


def claim_table(claims: pd.DataFrame) -> list[dict]:
    """One row per claim: its sentence, its outcome, the numbers compared and their difference, as text; and whether it is one
    of those that are made of every defense or method by its name, which the report folds away."""
    rows = []
    for row in claims.to_dict("records"):
        one, other, gap = measures_of(row)
        within = f", margin {row['margin']:g}" if row.get("margin") else ""
        about = {"question": row["question"], "outcome": row["outcome"], "origin": str(row["claim"]).partition(".")[0]}
        about |= {
            "of_one": "`" in row["question"],
            "one": number(one) if one else "–",
            "difference": f"{gap.signed()}{within}" if gap else "–",
        }
        rows.append(about | {"other": "–" if not other else f"{other.value:g}" if is_fixed(other) else number(other)})
    return rows


PLAIN = {"condition": "", "enrolment": 0, "references": 0, "queries": 0}


def protocol_table(protocol: str, rows: pd.DataFrame) -> dict:
    """One protocol's numbers: a row per attack, with how many recordings of a person it was given, the largest AUC first; and
    all further numbers, also those under conditions, such as audits that were fooled on purpose."""
    found: dict[str, dict] = {}
    for row in rows.to_dict("records"):
        attack = ", ".join([attack_name(row), *circumstances(row)])
        line = found.setdefault(attack, {"attack": attack, "auc": -1.0, "cells": {}, "others": [], "n": ""})
        if row["measure"] in RATES and not (row["condition"] or row["references"] or row["queries"]):
            line["cells"][row["measure"]] = cell(row)
        else:
            line["others"].append(cell(row | PLAIN))
        if row["measure"] == "auc":
            line |= {"auc": row["value"], "n": cell(row)["n"]}
    lines = sorted(found.values(), key=lambda line: -line["auc"])
    shown = [line | {"cells": [line["cells"].get(name) for name in RATES]} for line in lines if line["cells"]]
    others = [(line["attack"], one) for line in lines for one in sorted(line["others"], key=lambda one: one["rank"])]
    return {"protocol": protocol, "meaning": PROTOCOLS.get(protocol, ""), "rows": shown, "others": others}


def control_table(controls: list[dict]) -> list[dict]:
    """The negative controls: one row for each attack, its protocol and its control, those outside their chance first."""
    order = {"not chance": 0, "no interval": 1, "chance": 2}
    return sorted(
        controls, key=lambda one: (order[one["verdict"]], position(one["protocol"]), one["attack"], one["rank"])
    )


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
