"""Figures of the notebooks and the report: units on the axes, intervals on the estimates, colours for everyone."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import bootstrap_weights
from mia_lib.evaluation.reading import of_measure
from mia_lib.support.draws import generator

NAMES = {
    "top3_network": "top-3 network",
    "largest_posterior": "largest posterior",
    "utterance": "utterance\nwas this recording trained on?",
    "speaker": "speaker\nwas this person trained on?",
    "paper": "paper\nboth effects mixed",
    "auc": "AUC",
    "tpr_at_fpr_1e-2": "members found at 1 % false positives",
    "lira_online": "LiRA, online",
    "lira_offline": "LiRA, offline",
    "rmia_online": "RMIA, online",
    "rmia_offline": "RMIA, offline",
    "base": "BASE",
    "pmia_global": "PMIA, all proxies",
    "pmia_class": "PMIA, same speaker",
    "pmia_instance": "PMIA, as hard",
    "shokri": "Shokri's per speaker",
    "combined": "all combined",
    "lira_online_queries": "LiRA, online, 5 queries",
    "lira_offline_queries": "LiRA, offline, 5 queries",
    "rmia_online_queries": "RMIA, online, 5 queries",
    "rmia_offline_queries": "RMIA, offline, 5 queries",
    "label_only_calibrated": "label only, calibrated",
    "quantile": "quantile regression",
    "gradient_norm": "gradient norm (white box)",
    "white_box": "white box, combined",
    "mean_posterior": "mean largest posterior",
    "self_attention": "SAMIA (self-attention)",
    "ramia": "RaMIA (range)",
    "left_of_auc": "share of the file's AUC above chance that is left",
    "left_of_tpr_at_fpr_1e-2": "share of the members found with the file that is left",
}
MEMBER, OTHER, UNSEEN, FOURTH = (sns.color_palette("colorblind")[i] for i in (3, 0, 2, 1))
LOW_FPR = np.logspace(-3, 0, 200)


def style() -> None:
    """Set the look of all figures, whatever a matplotlibrc of the user says."""
    plt.rcdefaults()
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update(
        {"figure.dpi": 96, "savefig.bbox": "tight", "axes.titlesize": "medium", "figure.autolayout": True}
    )


def name(key: str) -> str:
    """The words for a name used in records."""
    stem = key.removesuffix("_references")
    return NAMES.get(stem, stem.replace("_", " "))


def waveforms(audio: np.ndarray, features: np.ndarray, titles: list[str], hop: int, rate: int = 16_000) -> Figure:
    """Fragments int16 [n, samples] above their features [n, frames, bins], each coefficient standardised, side by side."""
    figure, axes = plt.subplots(2, len(audio), figsize=(4 * len(audio), 4.5), sharey="row", sharex=True, squeeze=False)
    seconds = np.arange(audio.shape[1]) / rate
    features = (features - features.mean((0, 1))) / features.std((0, 1))
    for column, (wave, feature, title) in enumerate(zip(audio, features, titles, strict=True)):
        axes[0, column].plot(seconds, wave / 32768, linewidth=0.4)
        axes[0, column].set_title(title, parse_math=False)  # names of speakers are no formulas
        extent = (0, len(feature) * hop / rate, -0.5, feature.shape[1] - 0.5)
        axes[1, column].imshow(feature.T, aspect="auto", origin="lower", extent=extent, cmap="cividis", vmin=-3, vmax=3)
        axes[1, column].grid(False)
        axes[1, column].set(xlabel="time (s)", xlim=(0, seconds[-1]))
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel("coefficient")
    return figure


def training_curves(history: pd.DataFrame, groups: dict[str, list[int]]) -> Figure:
    """Loss and accuracies over the epochs for groups of models, with the spread between models as a band."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
    for colour, (label, models) in zip(sns.color_palette("colorblind"), groups.items(), strict=False):
        part = history[history["model"].isin(models)].assign(epoch=lambda t: t["epoch"].round())
        sns.lineplot(part, x="epoch", y="loss", errorbar=("pi", 100), ax=left, color=colour, label=label)
        sns.lineplot(
            part, x="epoch", y="train_accuracy", errorbar=("pi", 100), ax=right, color=colour, label=f"{label}: train"
        )
        tested = part.dropna(subset="test_accuracy")
        marks = dict(marker="o", linestyle="--", errorbar=("pi", 100))
        sns.lineplot(tested, x="epoch", y="test_accuracy", ax=right, color=colour, label=f"{label}: test", **marks)
    left.set(yscale="log", ylabel="training loss (nats)", xlabel="epoch")
    right.set(ylim=(0, 1.03), ylabel="accuracy", xlabel="epoch")
    return figure


def confidence(groups: dict[str, np.ndarray]) -> Figure:
    """Share of each group of fragments at least so sure, by the largest posterior p, on a scale that opens up p near 1."""
    figure, axis = plt.subplots(figsize=(10, 3.8))
    surest = min(np.clip(1 - np.asarray(values), 1e-10, 1).min() for values in groups.values())
    for colour, (label, values) in zip((MEMBER, OTHER, UNSEEN, FOURTH), groups.items(), strict=False):
        doubt = np.clip(1 - np.asarray(values), 1e-10, 1)
        sns.ecdfplot(x=doubt, ax=axis, color=colour, label=f"{label} (n = {len(values)})")
    axis.set(xscale="log", xlim=(1, surest / 2), ylim=(0, 1.02))
    axis.set(xlabel="1 − largest posterior (left: in doubt, right: certain)", ylabel="share at least this sure")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return figure


def score_histogram(audit: Audit) -> Figure:
    """Scores of members and non-members of one audit, with the threshold learnt from the shadows."""
    figure, axis = plt.subplots(figsize=(8, 3.5))
    table = pd.DataFrame({"score": audit.scores, "": np.where(audit.member, "member", "non-member")})
    palette = {"member": MEMBER, "non-member": OTHER}
    edges = np.union1d(np.linspace(audit.scores.min(), audit.scores.max(), 41), audit.threshold)
    sns.histplot(
        table, x="score", hue="", palette=palette, bins=edges[np.isfinite(edges)].tolist(), element="step", ax=axis
    )
    axis.axvline(audit.threshold, color="black", linestyle="--")
    beside: dict[str, Any] = dict(
        xycoords=("data", "axes fraction"), textcoords="offset points", va="top", ha="right", fontsize=9
    )
    white = dict(facecolor="white", edgecolor="none", alpha=0.8)
    axis.annotate("threshold from shadows", (audit.threshold, 0.97), (-6, 0), bbox=white, **beside)
    sns.move_legend(axis, "upper center")
    axis.set(ylabel="fragments", xlabel="score of the attack (higher: more like a member)")
    return figure


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
    for colour, (label, audits) in zip(sns.color_palette("colorblind"), curves.items(), strict=False):
        mean, low, high = _roc_band(audits, LOW_FPR, draws, seed)
        floor = 1e-3
        axis.plot(LOW_FPR, np.maximum(mean, floor), color=colour, label=label, drawstyle="steps-post")
        axis.fill_between(
            LOW_FPR, np.maximum(low, floor), np.maximum(high, floor), color=colour, alpha=0.2, linewidth=0
        )
    axis.plot(LOW_FPR, LOW_FPR, color="grey", linestyle=":", label="guessing")
    axis.set(xscale="log", yscale="log", xlim=(1e-3, 1), ylim=(1e-3, 1.05))
    axis.set(xlabel="false-positive rate", ylabel="true-positive rate")
    axis.legend(loc="lower right", fontsize=9)
    return figure


def intervals(
    records: pd.DataFrame, metric: str, group: str, hue: str = "attack", chance: float | None = 0.5
) -> Figure:
    """Values of one metric with their 95 % intervals: `group` down the side, `hue` by colour."""
    table = records[records["metric"] == metric]
    groups, hues = list(dict.fromkeys(table[group])), list(dict.fromkeys(table[hue]))
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.22 * len(groups) * (1 + len(hues))))
    for i, (label, colour) in enumerate(zip(hues, sns.color_palette("colorblind"), strict=False)):
        part = table[table[hue] == label]
        y = np.array([groups.index(g) for g in part[group]]) + 0.22 * (i - (len(hues) - 1) / 2)
        axis.errorbar(part["value"], y, xerr=span(part), fmt="o", color=colour, capsize=3, label=name(label))
    if chance is not None:
        axis.axvline(chance, color="grey", linestyle=":", label="chance")
    axis.set_yticks(range(len(groups)), [name(str(g)) for g in groups])
    axis.set_ylim(len(groups) - 0.4, -0.6)  # downwards, and no interval on the frame
    axis.set_xlabel(f"{name(metric)} (95 % interval)")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)  # covers no interval
    return figure


def main_result(records: pd.DataFrame) -> Figure:
    """The project's main picture: one attack on one model under three protocols, beside its negative control."""
    part = of_measure(records, "auc", ("", "unexposed"))
    part = part[part["attack"] == "top3_network"]
    kinds = np.where(part["control"] == "", "model under attack", "model that never saw these voices")
    part = part.assign(kind=kinds, metric="auc")
    figure = intervals(part, "auc", "protocol", "kind")
    left = min(0.4, float(part["low"].min()) - 0.02)  # no interval ends on the frame
    figure.axes[0].set(xlim=(left, 1.01), xlabel="AUC of the attack (0.5: guessing, 1: certain; 95 % interval)")
    figure.axes[0].set_title("Can somebody tell what a voice model was trained on?")
    figure.axes[0].legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.4, -0.3), ncols=3)  # covers no interval
    return figure


def confidences(phi: np.ndarray, inside: np.ndarray, titles: list[str]) -> Figure:
    """Logit-scaled confidence phi [K, n] of K models in n fragments, by whether the model trained on them: inside [K, n]."""
    trained = np.where(inside, "trained on it", "did not")
    table = pd.DataFrame({"phi": phi.ravel(), "model": trained.ravel(), "fragment": np.tile(titles, len(phi))})
    figure, axis = plt.subplots(figsize=(8, 0.8 + 0.6 * len(titles)))
    palette = {"trained on it": MEMBER, "did not": OTHER}
    sns.stripplot(table, x="phi", y="fragment", hue="model", palette=palette, dodge=True, jitter=False, ax=axis)
    axis.set(xlabel="logit-scaled confidence φ (nats; higher: surer of the right speaker)", ylabel="")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return figure


def against_count(records: pd.DataFrame, metric: str, chance: float) -> Figure:
    """Values of a metric with their 95 % intervals against the number of reference models (column `references`)."""
    figure = _curves(records, "references", "attack", "reference models", f"{name(metric)}\n", chance=chance)
    counts = sorted(set(records["references"]))
    figure.axes[0].set_xscale("log", base=2)
    figure.axes[0].set_xticks(counts, counts)
    figure.axes[0].set_ylim(0, None)
    return figure


def against_budget(records: pd.DataFrame) -> Figure:
    """AUC of attacks against the number of questions asked about each fragment (column `queries`)."""
    table = records[records["measure"] == "auc"]
    return _curves(table, "queries", "attack", "questions about each fragment", "AUC")


def enrolment(records: pd.DataFrame) -> Figure:
    """AUC of attacks on persons against how many recordings of each there are; dashed: the model that saw nobody."""
    table = records[(records["measure"] == "auc") & (records["enrolment"] > 0)]
    table = table[table["control"].isin(("", "unexposed"))]
    table = table.assign(control=table["control"] != "")
    return _curves(table, "enrolment", "attack", "recordings of each person", "AUC", "control")


EQUAL = 200
"""Times that fragments are dealt to speakers anew."""


def span(records: pd.DataFrame) -> np.ndarray:
    """How far intervals reach below and above their values, as error bars want it: [2, n]."""
    return np.abs(records[["low", "high"]].to_numpy().T - records["value"].to_numpy())


def _curves(
    records: pd.DataFrame, x: str, hue: str, xlabel: str, ylabel: str, dashed: str = "", chance: float = 0.5
) -> Figure:
    """Values with their 95 % intervals against a column, by colour; dashed where the column `dashed` is true."""
    figure, axis = plt.subplots(figsize=(8, 3.8))
    keys = [hue, dashed] if dashed else [hue]
    colours = dict(zip(dict.fromkeys(records[hue]), sns.color_palette("colorblind"), strict=False))
    for i, (key, part) in enumerate(records.groupby(keys, sort=False)):
        control = bool(dashed) and key[1]
        place = part[x] * (1 + 0.02 * i)
        look: dict[str, Any] = dict(fmt="o--" if control else "o-", alpha=0.5 if control else 1)
        label = name(key[0]) + (", control" if control else "")
        axis.errorbar(place, part["value"], yerr=span(part), color=colours[key[0]], capsize=3, label=label, **look)
    axis.axhline(chance, color="grey", linestyle=":", label="guessing")
    axis.set(xlabel=xlabel, ylabel=f"{ylabel} (95 % interval)", xticks=sorted(set(records[x])))
    axis.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def exposure(table: pd.DataFrame, seed: int = 0) -> Figure:
    """How far fragments give themselves away against how sure models that never saw them are (ReferenceStudy.exposure), and
    the medians of speakers, in their order, beside those of speakers to whom fragments were dealt at random."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
    sns.scatterplot(table, x="outside", y="exposure", ax=left, alpha=0.3, s=12, linewidth=0)
    left.set(xlabel="φ of models that did not train on it (nats)", ylabel="exposure (standard deviations)")
    values, speakers = table["exposure"].to_numpy(), table["speaker"].astype(str).to_numpy()
    rng = generator(seed, "equal speakers")
    equal = np.stack([medians(rng.permutation(values), speakers) for _ in range(EQUAL)])
    place = np.arange(equal.shape[1])
    right.fill_between(
        place, *np.quantile(equal, [0.025, 0.975], axis=0), color="grey", alpha=0.4, label="equal speakers"
    )
    right.plot(place, medians(values, speakers), "o-", color=MEMBER, markersize=4, label="measured")
    right.set(xlabel="speakers, least to most exposed (median of each)")
    right.legend(fontsize=9, loc="upper left")
    for axis in (left, right):
        axis.axhline(0, color="grey", linestyle=":")
    return figure


def medians(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The median of each group's values, in ascending order."""
    return np.sort(pd.Series(values).groupby(groups).median().to_numpy())
