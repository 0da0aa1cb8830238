"""`index.html`: the report of a run, rendered from its records alone, in one file that needs nothing else."""

import base64
from collections.abc import Sequence
from pathlib import Path

import jinja2
import pandas as pd

from mia_lib.corpora.base import kind_of, short_name
from mia_lib.evaluation import verdicts
from mia_lib.evaluation.intervals import FEW_UNITS, Measure
from mia_lib.evaluation.reading import beside_chance, read_results
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.reporting.measures import cell, label, rank
from mia_lib.reporting.words import written
from mia_lib.support.files import read_json, write_atomically
from mia_lib.support.progress import duration

DEFENSE_COLUMNS = {
    "test accuracy": "rate",
    "paper's attack": "rate",
    "the same, adaptive": "rate",
    "strongest AUC, utterance": "score",
    "strongest TPR at 0.1 % FPR": "rate",
    "strongest AUC, speaker": "score",
}
"""Columns of the table of defenses -> the kind of their numbers."""
CONTROL_VERDICTS = {"at": "chance", "above": "not chance", "below": "not chance", "unknown": "no interval"}


def write_report(run_folder: Path, results: pd.DataFrame | None = None) -> None:
    """Write `index.html` from the typed results, and the figures and times of the notebooks that `run.json` names.

    results: as `merge_results` returns them (None: what can be told from `results.csv`, which has no circumstances).
    """
    results = read_results(run_folder / "results.csv") if results is None else results
    run = read_json(run_folder / "run.json", {})
    parameters = run.get("parameters", {})
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("page.html").render(
        title=f"Whose voice was it trained on? {short_name(parameters.get('corpus', ''))}".strip(),
        run_id=run_folder.name,
        parameters=parameters,
        device=run.get("device", ""),
        corpora=[corpus_section(name, rows) for name, rows in results.groupby("corpus", sort=False)],
        figures=figures(run_folder / "figures", list(run.get("notebooks", {}))),
        notebooks=[_times(name, entry) for name, entry in run.get("notebooks", {}).items()],
        failed=sorted(path.name.removesuffix(".failed.ipynb") for path in run_folder.glob("*.failed.ipynb")),
        facts=_facts(run),
    )
    write_atomically(run_folder / "index.html", page)


def _synthetic(corpus: str) -> bool:
    kind = kind_of(corpus)
    return kind is not None and kind.synthetic


def corpus_section(name: str, rows: pd.DataFrame) -> dict:
    """Everything that the report shows of one corpus, as text: summary, utility, a table per protocol, controls."""
    judged, rows = rows, rows[rows["defense"].isin(("none", "")) & ~rows["adaptive"]]
    control = rows["control"] != ""
    utility, attacks = rows[(rows["attack"] == "none") & ~control], rows[(rows["attack"] != "none") & ~control]
    controls = [_control(row) for row in rows[control].to_dict("records")]
    named = {protocol: group for protocol, group in attacks.groupby("protocol")}
    protocols = sorted(named, key=_position)
    strongest = [strongest_attack(p, named[p]) for p in protocols if "auc" in set(named[p]["metric"])]
    return {
        "name": short_name(name),
        "synthetic": _synthetic(name),
        "summary": summary(name, utility, strongest, controls, few_units(attacks)),
        "strongest": strongest,
        "utility": [cell(row) for row in sorted(utility.to_dict("records"), key=rank)],
        "protocols": [protocol_table(protocol, named[protocol]) for protocol in protocols],
        "controls": control_table(controls),
        "defenses": defense_table(judged),
        "defense_columns": list(DEFENSE_COLUMNS),
    }


def defense_table(records: pd.DataFrame) -> list[dict]:
    """One row per judged defense of a corpus, beside no defense: numbers as text, and the verdict computed from them."""
    judged = records["adaptive"] & (records["attack"] == "lira_online") & (records["metric"] == "auc")
    known = records[judged]["defense"].unique()
    if set(known) <= {"none"}:
        return []
    table = verdicts.summary(records[records["defense"].isin(known)])
    return [
        {"defense": name, "claim": row["the paper says"], "verdict": row["verdict"], "by": row["by"].replace("_", " ")}
        | {key: written(row[key], kind) for key, kind in DEFENSE_COLUMNS.items()}
        for name, row in sorted(table.iterrows(), key=lambda pair: pair[0] != "none")
    ]


def few_units(attacks: pd.DataFrame) -> list[str]:
    """A sentence if some audit set holds too few speakers or recordings for its intervals to be trusted."""
    counts = attacks[attacks["metric"] == "audit_units"].groupby("protocol")["value"].min()
    thin = [
        f"{protocol} ({int(counts[protocol])})" for protocol in sorted(counts[counts < FEW_UNITS].index, key=_position)
    ]
    if not thin:
        return []
    return [
        f"Too few to trust the intervals of protocol {', '.join(thin)}: "
        f"they are drawn from fewer than {FEW_UNITS} recordings or speakers on one side."
    ]


def summary(
    name: str, utility: pd.DataFrame, strongest: list[dict], controls: list[dict], few: Sequence[str] = ()
) -> str:
    """The findings on one corpus in a few sentences."""
    measured = {row["metric"]: cell(row) for row in utility.to_dict("records")}
    sentences = []
    if "test_accuracy" in measured:
        trained = f" ({measured['train_accuracy']['value']} in training)" if "train_accuracy" in measured else ""
        right, interval = measured["test_accuracy"]["value"], measured["test_accuracy"]["interval"]
        sentences.append(
            f"On {short_name(name)}, the model names the speaker of {right} {interval} of test fragments{trained}."
        )
    if strongest:
        found = ", ".join(f"{row['auc']['value']} under protocol {row['protocol']}" for row in strongest)
        sentences.append(f"The strongest attack tells members from non-members with AUC {found}.")
    if controls:
        passed = sum(row["verdict"] == "chance" for row in controls)
        sentences.append(f"{passed} of {len(controls)} negative controls are at chance.")
    sentences += few
    if _synthetic(name):
        sentences.append("The voices are synthetic.")
    return " ".join(sentences)


def strongest_attack(protocol: str, rows: pd.DataFrame) -> dict:
    """The attack with the largest AUC under one protocol: its name, its AUC and how many members it finds."""
    best = rows.loc[rows[rows["metric"] == "auc"]["value"].idxmax()]
    same = rows[(rows[["defense", "attack", "adaptive"]] == best[["defense", "attack", "adaptive"]]).all(axis=1)]
    cells = {row["metric"]: cell(row) for row in same.to_dict("records")}
    return {"protocol": protocol, "attack": _attack(best), "auc": cells["auc"], "found": cells.get("tpr_at_fpr_1e-2")}


def protocol_table(protocol: str, rows: pd.DataFrame) -> dict:
    """One protocol's numbers: a row per metric, a column per attack."""
    records = rows.to_dict("records")
    attacks = sorted({_attack(row) for row in records})
    cells = {(row["metric"], _attack(row)): cell(row) for row in records}
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
    for one in sorted(controls, key=lambda one: _position(one["protocol"])):
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
    """A negative control and its verdict: chance, if the interval contains one half."""
    interval = Measure(row["value"], row["low"], row["high"], 0)
    about = {"attack": _attack(row), "protocol": row["protocol"], "verdict": CONTROL_VERDICTS[beside_chance(interval)]}
    return cell(row) | about


def _attack(row) -> str:
    defended = "" if row["defense"] in ("none", "") else f" against {row['defense']}"
    adaptive = " (adaptive)" if row["adaptive"] else ""
    return f"{row['attack']}{defended}{adaptive}"


def _position(protocol: str) -> int:
    """Protocols are shown in the order in which the project introduces them."""
    return (*PROTOCOLS, protocol).index(protocol)


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
        "Versions": code,
    }
    return {
        title: {name: value for name, value in part.items() if value not in (None, "")} for title, part in facts.items()
    }
