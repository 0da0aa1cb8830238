"""`index.html` of a sweep: what holds over its corpora and seeds, rendered from its tables alone."""

import math
from pathlib import Path

import pandas as pd

from mia_lib.corpora.base import short_name
from mia_lib.evaluation import published
from mia_lib.evaluation.claims import FAILS, HOLDS, UNDECIDED
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.strongest import STRONGEST
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.reporting.defense_figures import seeds_plane
from mia_lib.reporting.embed import drawing
from mia_lib.reporting.figures import name as display_name
from mia_lib.reporting.looks import as_svg, plt, style
from mia_lib.reporting.templates import rendered
from mia_lib.reporting.words import number
from mia_lib.support.files import write_atomically

SHOWN = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "tpr_at_fpr_1e-2": "members found at 1 % false positives",
    "tpr_at_fpr_1e-3_pooled": "members found at 0.1 % (pooled)",
}
"""Rates of attacks that the page shows -> their names there."""
PUBLISHED_NAMES = {name: name.replace("_", " ") for name in published.METRICS}


def write_sweep_page(
    folder: Path, runs: list[dict], results: pd.DataFrame, numbers: pd.DataFrame, findings: pd.DataFrame
) -> None:
    """Write `index.html`. runs: name, corpus, profile, seed and state of each. results: the records of all runs. numbers,
    findings: as `across` and `claims_across` return them."""
    seeds = len({run["seed"] for run in runs if run["state"] == "done"})
    corpora = list(dict.fromkeys(results["corpus"]))
    page = rendered(
        "sweep.html",
        title="Whose voice was it trained on? Over seeds and corpora",
        sweep=folder.name,
        summary=summary(runs, findings),
        runs=runs,
        failed=[run for run in runs if run["state"] not in ("done", "not run yet")],
        findings=[finding(row) for row in findings.to_dict("records")],
        published=beside_the_paper(numbers) if seeds else None,
        corpora=[corpus_section(corpus, results, numbers) for corpus in corpora],
    )
    write_atomically(folder / "index.html", page)


def summary(runs: list[dict], findings: pd.DataFrame) -> str:
    """How many runs are done, and how many claims come out alike in all of theirs."""
    done = sum(run["state"] == "done" for run in runs)
    text = f"{done} of {len(runs)} runs are done."
    if findings.empty:
        return text
    counts = findings[["holds", "does_not_hold", "undecided"]]
    alike = (counts.gt(0).sum(axis=1) == 1).sum()
    every, never = ((counts[name] == counts.sum(axis=1)).sum() for name in ("holds", "does_not_hold"))
    return (
        f"{text} Of {len(findings)} claims, {every} hold in every run, {never} hold in none of theirs, and "
        f"{len(findings) - alike} come out differently from run to run."
    )


def finding(row: dict) -> dict:
    """One claim over the runs of a corpus, as text."""
    counts = {HOLDS: row["holds"], FAILS: row["does_not_hold"], UNDECIDED: row["undecided"]}
    total, gap = sum(counts.values()), Measure(row["difference"], row["low"], row["high"], 0)
    only = next((word for word, count in counts.items() if count == total), None)
    text = ", ".join(f"{word} in {count}" for word, count in counts.items() if count)
    looks = {HOLDS: "chance", FAILS: "leak"}
    return {
        "question": row["question"],
        "corpus": short_name(row["corpus"]),
        "counts": f"{only} in all {total}" if only and total > 1 else text,
        "look": looks.get(only or "", "soft"),
        "outcome": row["outcome"],
        "difference": gap.signed() if row["seeds"] else "not measured",
    }


def measured(numbers: pd.DataFrame, metric: str, **identity) -> Measure | None:
    """A number over seeds; None where there is none."""
    rows = numbers[numbers["metric"] == metric]
    for column, value in identity.items():
        rows = rows[rows[column] == value]
    if rows.empty:
        return None
    row = rows.iloc[0]
    return Measure(row["value"], row["low"], row["high"], int(row["seeds"]))


def beside_the_paper(numbers: pd.DataFrame) -> dict:
    """What the paper reports, and each corpus's means over seeds, in rows of text."""
    rows = [
        {"corpus": f"{corpus} (arXiv 1911.01888)", "seeds": "", "cells": [f"{own[m]:.3f}" for m in published.METRICS]}
        for corpus, own in published.claims().iterrows()
    ]
    for corpus in dict.fromkeys(numbers["corpus"]):
        found = []
        for metric in published.METRICS:
            model = metric.endswith("_accuracy") and metric != "balanced_accuracy"
            attack, protocol = ("none", "") if model else ("top3_network", "paper")
            about = dict(corpus=corpus, attack=attack, protocol=protocol, defense="none", adaptive=False)
            found.append(measured(numbers, metric, **about))
        if any(found):
            seeds = max(one.n for one in found if one)
            cells = [number(one) if one else "–" for one in found]
            rows.append({"corpus": short_name(corpus), "seeds": str(seeds), "cells": cells})
    return {"columns": list(PUBLISHED_NAMES.values()), "rows": rows}


def corpus_section(corpus: str, results: pd.DataFrame, numbers: pd.DataFrame) -> dict:
    """The attacks on undefended models of one corpus over its seeds, and its planes of defenses."""
    own = numbers[(numbers["corpus"] == corpus) & (numbers["defense"] == "none") & ~numbers["adaptive"].astype(bool)]
    own = own[own["metric"].isin(SHOWN) & ~own["attack"].isin(("none", STRONGEST))]
    order = {protocol: place for place, protocol in enumerate(PROTOCOLS)}
    rows = []
    for (protocol, attack), group in own.groupby(["protocol", "attack"], sort=False):
        found = [measured(group, metric) for metric in SHOWN]
        cells = [cell_of(one, metric) for one, metric in zip(found, SHOWN, strict=True)]
        about = {"protocol": protocol, "attack": display_name(attack), "cells": cells, "place": order.get(protocol, 9)}
        rows.append(about | {"seeds": max(one.n for one in found if one), "auc": found[0].value if found[0] else 0.0})
    return {
        "name": short_name(corpus),
        "columns": list(SHOWN.values()),
        "attacks": sorted(rows, key=lambda row: (row["place"], -row["auc"])),
        "figures": planes(results[results["corpus"] == corpus]),
    }


def cell_of(measure: Measure | None, metric: str) -> str:
    """A number as text, or why there is none: a rate at few false positives has no interval where non-members are too few."""
    if measure is None:
        return "–"
    return "not measurable" if metric.startswith("tpr") and math.isnan(measure.low) else number(measure)


def planes(results: pd.DataFrame) -> list[dict]:
    """Privacy against utility with a point for every seed, as a drawing with its caption; none where nothing is judged."""
    points = defended(results)
    if points["defense"].nunique() < 2:
        return []
    style()
    figure = seeds_plane(points, "AUC of the strongest attack that knows the defense, utterance", 0.5)
    caption = "Every judged defense in every seed: a small point for each run, a large one for their mean."
    picture = drawing(as_svg(figure), caption)
    plt.close(figure)
    return [{"picture": picture, "caption": caption}]


def defended(results: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy x and strongest adaptive AUC y of every defense that was judged, for every seed."""
    keys = ["defense", "seed"]
    leak = results[(results["attack"] == STRONGEST) & (results["metric"] == "strongest_auc")]
    leak = leak[leak["protocol"] == "utterance"].groupby(keys)["value"].first().rename("y")
    plain = results[
        (results["metric"] == "test_accuracy") & (results["attack"] == "none") & (results["protocol"] == "")
    ]
    utility = plain.groupby(keys)["value"].first().rename("x")
    return pd.concat([utility, leak], axis=1).dropna().reset_index()
