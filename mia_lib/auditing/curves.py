"""ROC curves of an audit on logarithmic axes, as shapes of a picture inside the page."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from mia_lib.auditing.findings import number
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.resolution import measurable
from mia_lib.reporting.words import percent

FLOOR = 1e-3
"""The smallest rate on both axes."""
SIZE, LEFT, TOP = 300, 52, 8
"""Of the picture: the length of both axes, and what lies left of and above them."""
BARS = {"tpr_at_fpr_1e-2": 0.01, "tpr_at_fpr_1e-3": 0.001}
"""Measures whose intervals are drawn -> where."""
APART = 3
"""How far intervals at one place are moved apart."""
TICKS = {1e-3: "0.1 %", 1e-2: "1 %", 1e-1: "10 %", 1.0: "100 %"}


def across(rate: float) -> float:
    """Where a false-positive rate lies, from the left."""
    return round(LEFT + SIZE * _share(rate), 1)


def down(rate: float) -> float:
    """Where a true-positive rate lies, from the top."""
    return round(TOP + SIZE * (1 - _share(rate)), 1)


def _share(rate: float) -> float:
    return 1 - float(np.log10(max(rate, FLOOR)) / np.log10(FLOOR))


def steps(audit: Audit) -> str:
    """The curve of an audit as the path of an SVG, from the smallest false-positive rate that its non-members can show."""
    finest = max(FLOOR, 1 / int((~audit.member).sum()))
    grid = np.geomspace(finest, 1, 200)
    fpr, tpr, _ = roc_curve(audit.member, audit.scores)
    heights = tpr[np.searchsorted(fpr, grid + 1e-12, side="right") - 1]
    first, *rest = [(across(x), down(y)) for x, y in zip(grid, heights, strict=True)]
    return f"M{first[0]} {first[1]}" + "".join(f"H{x}V{y}" for x, y in rest)


def picture(audits: Mapping[str, Audit], looks: Sequence[str], results: pd.DataFrame) -> dict:
    """Everything that the template draws of some attacks: axes, the part that cannot be seen, a curve with intervals each,
    and a text to stand in its place. looks: the class of each curve."""
    others = min(int((~audit.member).sum()) for audit in audits.values())
    curves = []
    for place, ((name, audit), look) in enumerate(zip(audits.items(), looks, strict=True)):
        found = {
            at: rate
            for measure, at in BARS.items()
            if measurable(at, others) and (rate := number(results, name, measure))
        }
        aside = APART * (place - (len(audits) - 1) / 2)
        curves.append({
            "name": name, "look": look, "path": steps(audit),
            "bars": [dict(x=across(at) + aside, low=down(rate.low), high=down(rate.high)) for at, rate in found.items()],
            "told": ", ".join(f"{percent(rate)} at {TICKS[at]}" for at, rate in found.items()),
        })  # fmt: skip
    told = "; ".join(f"{curve['name']}: {curve['told'] or 'too few non-members for 1 %'}" for curve in curves)
    return {
        "curves": curves,
        "across": [(across(at), text) for at, text in TICKS.items()],
        "down": [(down(at), text) for at, text in TICKS.items()],
        "guessing": f"M{across(FLOOR)} {down(FLOOR)}L{across(1)} {down(1)}",
        "unseen": across(1 / others) - LEFT if others < 1 / FLOOR else 0,
        "others": others,
        "text": f"ROC curves on logarithmic axes: members found, by the share of false positives. {told}.",
    }
