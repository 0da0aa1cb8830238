"""`index.html` of an audit: what was audited, whether it can be trusted, what it proves, who is exposed, and what to do.

One file that needs nothing else, rendered from a report.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mia_lib.attacks.base import ATTACKS
from mia_lib.auditing.baseline import BLIND
from mia_lib.auditing.curves import picture
from mia_lib.auditing.epsilons import CONFIDENCE
from mia_lib.auditing.exposed import exposed
from mia_lib.auditing.exposure import LEVEL
from mia_lib.auditing.findings import CHANCE, confounded, non_members, number
from mia_lib.auditing.players import SECONDS
from mia_lib.auditing.remedies import COMPARED, advice, defenses_by_notebook, measured_costs
from mia_lib.auditing.trial import Trial
from mia_lib.evaluation.differences import compared, difference, turned
from mia_lib.evaluation.one_run import DELTA
from mia_lib.evaluation.rates import FPR_LEVELS
from mia_lib.evaluation.reading import beside_chance
from mia_lib.evaluation.resolution import measurable, too_coarse
from mia_lib.evaluation.strongest import STRONGEST
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.reporting.headline import luck_of, one_target
from mia_lib.reporting.measures import CONTROLS, MEASURES, cell
from mia_lib.reporting.page import CONTROL_VERDICTS
from mia_lib.reporting.templates import rendered
from mia_lib.reporting.words import unmeasurable

if TYPE_CHECKING:
    from mia_lib.auditing.report import Report

COLUMNS = ("auc", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3", "balanced_accuracy")
"""Measures that the page shows of each attack."""
LOOKS = ("first", "second", "third")
"""Classes of the curves of a figure."""
LOST = 100
"""Recordings that were left out and are listed."""
BESIDE = {
    "more": "more than the blind one",
    "less": "less than the blind one",
    "as much": "as much as the blind one",
    "undecided": "not told from the blind one",
}

Cells = Mapping[tuple[str, str, str], dict]
"""Numbers as text, by attack, measure and control."""


def audit_page(report: "Report", folder: Path) -> str:
    """The page of an audit that is about to be written into a folder; what defenses cost is told from a run of the series
    beside it, if there is one."""
    evidence, about, results = report.evidence, report.about, report.results
    cells = cells_of(results)
    return rendered(
        "audit.html",
        title=f"Audit of {evidence.name}",
        run_id=folder.name,
        about=about,
        facts=facts(report),
        meaning=PROTOCOLS[evidence.protocol],
        confounded=confounded(results) if _above_chance(results, BLIND) else [],
        trust=trust_table(report, cells),
        lost=[row | {"reason": row["reason"].removeprefix(f"{row['path']}: ")} for row in about["lost"][:LOST]],
        left_out=_counted(len(about["lost"]), "recording"),
        heard=evidence.lost is not None,
        strongest=strongest_table(report, cells),
        groups=list(groups(report, cells)),
        bounds=bounds(results),
        delta=f"{DELTA:g}",
        confidence=f"{100 * CONFIDENCE:.0f}",
        exposed=exposed(report),
        level=f"{100 * LEVEL:g}",
        seconds=SECONDS,
        advice=advice(evidence, results, non_members(report.trials)),
        costs=measured_costs(folder.parent),
        defenses=defenses_by_notebook(),
        comparison=COMPARED,
        attacks=described(report.trials),
        not_run=not_run(about["not_run"]),
        referenced=evidence.reference_answers is not None,
        limits=one_target(1),
    )


def cells_of(results: pd.DataFrame) -> Cells:
    """All numbers as text; rates that too few non-members can carry are said to be so. The strongest attack's are only there
    where they can be carried."""
    coarse = np.where(results["attack"] == STRONGEST, 0, too_coarse(results))
    rows = results.assign(too_coarse=coarse).to_dict("records")
    return {(row["attack"], row["measure"], row["control"]): cell(row) for row in rows}


def _above_chance(results: pd.DataFrame, attack: str) -> bool:
    found = number(results, attack)
    return found is not None and found.low > CHANCE


def facts(report: "Report") -> dict[str, str]:
    """What was audited, in words, by name."""
    audited = report.about["audited"]
    width = f"{audited['width']:,} {'dimensions' if audited['kind'] == 'embeddings' else 'classes'}"
    told = {
        "Model": audited["name"],
        "Its answers": f"{audited['kind']} of {width}",
        "Members": _side(audited["members"]),
        "Non-members": _side(audited["non_members"]),
        "Reference models": f"{audited['references']:,}" if audited["references"] else "none",
        "Altered versions of each row": f"{audited['copies']:,}" if audited["copies"] else "none",
        "Model that trained on none of this": "given" if audited["control_model"] else "not given",
        "Memberships": "drawn by independent fair coins" if audited["coins"] else "not said to be drawn by coins",
    }
    if report.evidence.lost is not None:
        told["Left out"] = f"{len(report.about['lost']):,} of {audited['found']:,} recordings"
    return told


def _side(side: dict) -> str:
    """How much one side holds: `100 recordings of 12 speakers, in 240 rows`."""
    of = "" if side["speakers"] is None else f" of {_counted(side['speakers'], 'speaker')}"
    rows = f", in {side['rows']:,} rows" if side["rows"] != side["recordings"] else ""
    return _counted(side["recordings"], "recording") + of + rows


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"


def by_auc(trials: list[Trial], results: pd.DataFrame) -> list[str]:
    """The names of some attacks, the largest AUC first; an attacker may turn an answer round."""
    aucs = {one.attack: turned(found).value for one in trials if (found := number(results, one.attack))}
    return sorted(aucs, key=lambda name: -aucs[name])


def trust_table(report: "Report", cells: Cells) -> dict:
    """The blind baseline and, below it, each attack beside it and beside its negative controls."""
    results, blind = report.results, number(report.results, BLIND)
    controls = [name for name in CONTROLS if name in set(results["control"])]
    places, rows = [], []
    for attack in [*[BLIND] * (blind is not None), *by_auc(report.trials, results)]:
        row: dict[str, Any] = {"attack": attack, "auc": cells[attack, "auc", ""], "controls": [], "beside": None}
        if blind is not None and attack != BLIND:
            gap = difference(turned(number(results, attack) or blind), turned(blind))
            word = compared(gap, 0)
            row["beside"] = {"gap": gap.signed(), "word": BESIDE[word], "more": word == "more"}
        for control in controls:
            found = number(results, attack, control=control)
            where = "unknown" if found is None else beside_chance(found)
            places += [where] * (attack != BLIND)
            row["controls"].append(cells.get((attack, "auc", control), {}) | {"verdict": CONTROL_VERDICTS[where]})
        rows.append(row)
    return {"rows": rows, "controls": [CONTROLS[name] for name in controls], "blind": blind, "luck": luck_of(places)}


def _label(measure: str) -> str:
    """What a measure is called, its units on the line of their numbers."""
    return MEASURES[measure][0].replace(" %", "\u00a0%")


def strongest_table(report: "Report", cells: Cells) -> list[dict]:
    """The strongest attack by each measure, and out of how many."""
    rows, others = [], non_members(report.trials)
    for measure in COLUMNS:
        row = {"label": _label(measure), "cell": cells.get((STRONGEST, measure, ""))}
        if row["cell"] is None and not measurable(FPR_LEVELS.get(measure, 0), others):
            row["cell"] = {"value": unmeasurable(others), "coarse": True}
        best = report.about["strongest"].get(measure, {"attack": "", "out_of": "", "turned_round": False})
        turn = ", worse than chance: turned round" * best["turned_round"]
        rows.append(row | {"attack": best["attack"] + turn, "out_of": best["out_of"]})
    return rows


def groups(report: "Report", cells: Cells) -> Iterator[dict]:
    """Attacks on recordings and attacks on persons apart: a table, and the curves of those that are the strongest by some
    measure beside the blind baseline's."""
    persons = report.evidence.protocol == "speaker" and report.evidence.speakers_known
    single = "Persons, judged by a single recording" if persons else "Recordings"
    for title, by_person in ((single, False), ("Persons, judged by all of their recordings", True)):
        trials = {one.attack: one for one in report.trials if (persons and one.by_person) == by_person}
        if not trials:
            continue
        names = by_auc(list(trials.values()), report.results)
        known = [m for m in COLUMNS if any(not cells.get((name, m, ""), {}).get("coarse", True) for name in names)]
        rows = [(name, [cells.get((name, measure, "")) for measure in known]) for name in names]
        audits = {name: trials[name].found.audit for name in _leading(names, report.results)}
        looks = list(LOOKS[: len(audits)])
        if report.blind is not None:
            audits[BLIND] = report.blind.found.audit
            looks.append("blind")
        heads = [_label(measure) for measure in known]
        yield {"title": title, "measures": heads, "rows": rows, "figure": picture(audits, looks, report.results)}


def _leading(names: list[str], results: pd.DataFrame) -> list[str]:
    """Those of some attacks that find the most by one of the measures, without doubles."""
    found = []
    for measure in COLUMNS[: len(LOOKS)]:
        values = {name: rate.value for name in names if (rate := number(results, name, measure))}
        found += [max(values, key=lambda name: values[name])] if values else []
    return list(dict.fromkeys(found))


def bounds(results: pd.DataFrame) -> list[dict]:
    """Lower bounds of epsilon by each attack, beside those with membership shuffled; none without coins."""
    rows = results[results["measure"].isin(("epsilon_steinke", "epsilon_tight"))]
    values = {(row["attack"], row["measure"], row["control"]): row["value"] for row in rows.to_dict("records")}
    attacks = sorted(set(rows["attack"]), key=lambda name: -values[name, "epsilon_tight", ""])
    keys = [(measure, control) for control in ("", "shuffled") for measure in ("epsilon_steinke", "epsilon_tight")]
    return [dict(attack=name, values=[f"{values[name, *key]:.2f}" for key in keys]) for name in attacks]


def described(trials: list[Trial]) -> dict[str, str]:
    """What each attack does, in the first line of its own words."""
    about = ATTACKS.describe()
    return {one.attack: about.get(one.attack.removesuffix("_references"), "").replace("`", "") for one in trials}


def not_run(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """What attacks lack that were not run -> their names."""
    lacking: dict[str, list[str]] = {}
    for attack, why in reasons.items():
        lacking.setdefault(why, []).append(attack)
    return lacking
