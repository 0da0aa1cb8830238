"""ROC curves with bands, on axes that open up the corner of few false alarms."""

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import bootstrap_weights
from mia_lib.reporting.looks import SOFT, colour_of, plt
from mia_lib.support.draws import generator

LOW_FPR = np.logspace(-3, 0, 301)  # 1 % and 10 % are among them


def _roc_band(
    audits: list[Audit], grid: np.ndarray, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean achievable TPR over `audits` at each FPR of `grid`, and its 95 % bootstrap band."""
    rng = generator(seed, "bands of curves")
    means, bands = [], []
    drawn = bootstrap_weights([audit.clusters for audit in audits], draws, rng)
    for audit, weights in zip(audits, drawn, strict=True):
        order = np.argsort(-audit.scores, kind="stable")
        ends = np.flatnonzero(np.diff(audit.scores[order], append=np.nan) != 0)
        weights = weights[:, order]
        member = audit.member[order]
        tp, fp = (np.cumsum(weights * side, axis=1)[:, ends] for side in (member, ~member))
        tpr, fpr = tp / tp[:, -1:], fp / fp[:, -1:]
        rows = [np.append(0, t)[np.searchsorted(f, grid + 1e-12, side="right")] for t, f in zip(tpr, fpr, strict=True)]
        bands.append(np.stack(rows))
        fpr, tpr, _ = roc_curve(audit.member, audit.scores, drop_intermediate=False)
        means.append(tpr[np.searchsorted(fpr, grid + 1e-12, side="right") - 1])
    low, high = np.quantile(np.mean(bands, axis=0), [0.025, 0.975], axis=0)
    return np.mean(means, axis=0), low, high


def roc(curves: dict[str, list[Audit]], draws: int = 200, seed: int = 0) -> Figure:
    """ROC curves of several attacks on logarithmic axes, mean over targets, with 95 % bootstrap bands."""
    figure, axis = plt.subplots(figsize=(6, 5.2))
    at_one_percent = {}
    for i, (label, audits) in enumerate(curves.items()):
        colour = colour_of(label, i)
        mean, low, high = _roc_band(audits, LOW_FPR, draws, seed)
        floor, at_one_percent[label] = 1e-3, mean[np.searchsorted(LOW_FPR, 0.01 - 1e-9)]
        axis.plot(LOW_FPR, np.maximum(mean, floor), color=colour, label=label, drawstyle="steps-post")
        axis.fill_between(
            LOW_FPR, np.maximum(low, floor), np.maximum(high, floor), color=colour, alpha=0.2, linewidth=0
        )
    axis.plot(LOW_FPR, LOW_FPR, color=SOFT, linestyle=":", label="guessing")
    axis.set(xscale="log", yscale="log", xlim=(1e-3, 1), ylim=(1e-3, 1.05))
    axis.set(xlabel="false-positive rate", ylabel="true-positive rate")
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    found = [f"{label} {100 * at_one:.1f} %" for label, at_one in at_one_percent.items()]
    figure.set_label(f"Members found at 1 % false alarms: {'; '.join(found)}")
    return figure
