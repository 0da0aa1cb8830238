"""Figures of the notebooks and the report: units on the axes, intervals on the estimates, colours for everyone."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.reading import of_measure
from mia_lib.reporting import labels
from mia_lib.reporting.looks import LINE, MARKS, MEMBER, NON_MEMBER, OTHERS, SOFT, colour_of, plt, style
from mia_lib.reporting.roc import roc
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
__all__ = ["name", "plt", "roc", "style"]


def name(key: str) -> str:
    """The words for a name used in records."""
    stem = key.removesuffix("_references")
    return NAMES.get(stem, stem.replace("_", " "))


def span(records: pd.DataFrame) -> np.ndarray:
    """How far intervals reach below and above their values, as error bars want it: [2, n]."""
    return np.abs(records[["low", "high"]].to_numpy().T - records["value"].to_numpy())


def guessing(axis: Axes, chance: float) -> None:
    """An upright dotted line where guessing lies, with its name above."""
    axis.axvline(chance, color=SOFT, linestyle=":", linewidth=1.2, zorder=0)
    look: dict[str, Any] = dict(textcoords="offset points", color=SOFT, ha="center", va="bottom")
    axis.annotate("guessing", (chance, 1), (0, 4), xycoords=("data", "axes fraction"), **look)


def end_of_guessing(axis: Axes, chance: float) -> dict[str, tuple[float, float, str]]:
    """A dotted line across the axis where guessing lies; its end, for `labels.at_ends`."""
    axis.axhline(chance, color=SOFT, linestyle=":", linewidth=1.2, zorder=0)
    return {"guessing": (axis.get_xlim()[1], chance, SOFT)}


def outside(axis: Axes) -> None:
    """A legend right of the axis, where it covers nothing."""
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def waveforms(audio: np.ndarray, features: np.ndarray, titles: list[str], hop: int, rate: int = 16_000) -> Figure:
    """Fragments int16 [n, samples] above their features [n, frames, bins], each coefficient standardised, side by side."""
    figure, axes = plt.subplots(
        2, len(audio), figsize=(2.6 * len(audio), 3.8), sharey="row", sharex=True, squeeze=False
    )
    seconds = np.arange(audio.shape[1]) / rate
    features = (features - features.mean((0, 1))) / features.std((0, 1))
    for column, (wave, feature, title) in enumerate(zip(audio, features, titles, strict=True)):
        axes[0, column].plot(seconds, wave / 32768, linewidth=0.4, color=OTHERS[0], rasterized=True)
        axes[0, column].set_title(title, parse_math=False)  # names of speakers are no formulas
        extent = (0, len(feature) * hop / rate, -0.5, feature.shape[1] - 0.5)
        shown = axes[1, column].imshow(
            feature.T, aspect="auto", origin="lower", extent=extent, cmap="cividis", vmin=-3, vmax=3
        )
        axes[1, column].grid(False)
        axes[1, column].set(xlabel="time (s)", xlim=(0, seconds[-1]))
    axes[0, 0].set_ylabel("amplitude")
    axes[1, 0].set_ylabel("coefficient")
    figure.tight_layout()
    figure.set_layout_engine("none")
    place = axes[1, -1].get_position()
    bar = figure.add_axes((place.x1 + 0.015, place.y0, 0.012, place.height))
    figure.colorbar(shown, cax=bar, label="standard deviations")
    return figure


def training_curves(history: pd.DataFrame, groups: dict[str, list[int]]) -> Figure:
    """Loss and accuracies over the epochs for groups of models, with the spread between models as a band; in colour what
    models trained on and other recordings, each group with a line of its own."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    for dashes, (label, models) in zip(("-", "--", ":", "-."), groups.items(), strict=False):
        part = history[history["model"].isin(models)].assign(epoch=lambda t: t["epoch"].round())
        look: dict[str, Any] = dict(errorbar=("pi", 100), linestyle=dashes, legend=False)
        sns.lineplot(part, x="epoch", y="loss", ax=left, color=MEMBER, **look)
        sns.lineplot(part, x="epoch", y="train_accuracy", ax=right, color=MEMBER, label=f"{label}: trained on", **look)
        tested = part.dropna(subset="test_accuracy")
        beside = f"{label}: other recordings"
        sns.lineplot(tested, x="epoch", y="test_accuracy", ax=right, color=NON_MEMBER, label=beside, marker="o", **look)
    left.set(yscale="log", ylabel="training loss (nats)", xlabel="epoch")
    right.set(ylim=(0, 1.03), ylabel="accuracy", xlabel="epoch")
    outside(right)
    return figure


def confidence(groups: dict[str, np.ndarray]) -> Figure:
    """Share of each group of fragments at least so sure, by the largest posterior p, on a scale that opens up p near 1."""
    figure, axis = plt.subplots(figsize=(7, 3.8))
    surest, used = min(np.clip(1 - np.asarray(values), 1e-10, 1).min() for values in groups.values()), list[str]()
    for place, (label, values) in enumerate(groups.items()):
        used.append(colour_of(label, place))
        look: dict[str, Any] = dict(color=used[-1], linestyle=("-", "--", ":")[min(2, used.count(used[-1]) - 1)])
        doubt = np.clip(1 - np.asarray(values), 1e-10, 1)
        sns.ecdfplot(x=doubt, ax=axis, label=f"{label} (n = {len(values)})", **look)
    axis.set(xscale="log", xlim=(1, surest / 2), ylim=(0, 1.02))
    axis.set(xlabel="1 − largest posterior (left: in doubt, right: certain)", ylabel="share at least this sure")
    outside(axis)
    return figure


def score_histogram(audit: Audit) -> Figure:
    """Scores of members and non-members of one audit, with the threshold learnt from the shadows."""
    figure, axis = plt.subplots(figsize=(8, 3.5))
    table = pd.DataFrame({"score": audit.scores, "": np.where(audit.member, "member", "non-member")})
    palette = {"member": MEMBER, "non-member": NON_MEMBER}
    edges = np.union1d(np.linspace(audit.scores.min(), audit.scores.max(), 41), audit.threshold)
    bins = edges[np.isfinite(edges)].tolist()
    sns.histplot(table, x="score", hue="", palette=palette, bins=bins, element="step", ax=axis)
    axis.axvline(audit.threshold, color=SOFT, linestyle="--")
    above: dict[str, Any] = dict(xycoords=("data", "axes fraction"), textcoords="offset points", color=SOFT)
    axis.annotate("threshold from shadows", (audit.threshold, 1), (0, 4), ha="center", va="bottom", **above)
    sns.move_legend(axis, "upper left", bbox_to_anchor=(1.01, 1))
    axis.set(ylabel="fragments", xlabel="score of the attack (higher: more like a member)")
    found = [(audit.scores >= audit.threshold)[audit.member == side].mean() for side in (True, False)]
    told = [f"{100 * share:.0f} % of {side}" for share, side in zip(found, ("members", "non-members"), strict=True)]
    figure.set_label(f"{told[0]} lie right of the threshold, and {told[1]}")
    return figure


def intervals(
    records: pd.DataFrame, metric: str, group: str, hue: str = "attack", chance: float | None = 0.5
) -> Figure:
    """Values of one metric with their 95 % intervals: `group` down the side, `hue` by colour and mark."""
    table = records[records["metric"] == metric]
    groups, hues = list(dict.fromkeys(table[group])), list(dict.fromkeys(table[hue]))
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.22 * len(groups) * (1 + len(hues))))
    for i, label in enumerate(hues):
        part = table[table[hue] == label]
        y = np.array([groups.index(g) for g in part[group]]) + 0.22 * (i - (len(hues) - 1) / 2)
        look: dict[str, Any] = dict(fmt=MARKS[i % len(MARKS)], color=colour_of(label, i), capsize=3, label=name(label))
        axis.errorbar(part["value"], y, xerr=span(part), **look)
    if chance is not None:
        guessing(axis, chance)
    axis.set_yticks(range(len(groups)), [name(str(g)) for g in groups])
    axis.set_ylim(len(groups) - 0.4, -0.6)  # downwards, and no interval on the frame
    axis.set_xlabel(f"{name(metric)} (95 % interval)")
    if len(hues) > 1:
        outside(axis)
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
    told = [f"{row.value:.2f} ({row.protocol})" for row in part[part["control"] == ""].itertuples()]
    figure.set_label(
        f"Can somebody tell what a voice model was trained on? AUC of the paper's attack: {', '.join(told)}"
    )
    return figure


def confidences(phi: np.ndarray, inside: np.ndarray, titles: list[str]) -> Figure:
    """Logit-scaled confidence phi [K, n] of K models in n fragments, by whether the model trained on them: inside [K, n]."""
    trained = np.where(inside, "trained on it", "did not")
    table = pd.DataFrame({"phi": phi.ravel(), "model": trained.ravel(), "fragment": np.tile(titles, len(phi))})
    figure, axis = plt.subplots(figsize=(8, 0.8 + 0.6 * len(titles)))
    palette = {"trained on it": MEMBER, "did not": NON_MEMBER}
    sns.stripplot(table, x="phi", y="fragment", hue="model", palette=palette, dodge=True, jitter=False, ax=axis)
    axis.set(xlabel="logit-scaled confidence φ (nats; higher: surer of the right speaker)", ylabel="")
    outside(axis)
    return figure


def against_count(records: pd.DataFrame, metric: str, chance: float) -> Figure:
    """Values of a metric with their 95 % intervals against the number of reference models (column `references`)."""
    figure = _curves(records, "references", "attack", "reference models", name(metric), chance=chance, scale=2)
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


def _curves(
    records: pd.DataFrame,
    x: str,
    hue: str,
    xlabel: str,
    ylabel: str,
    dashed: str = "",
    chance: float = 0.5,
    scale: int = 0,
) -> Figure:
    """Values with their 95 % intervals against a column, each line named at its end; hollow and dashed where the column
    `dashed` is true. scale: base of a logarithmic axis."""
    figure, axis = plt.subplots(figsize=(7, 3.8))
    keys, ends = [hue, dashed] if dashed else [hue], {}
    places = {key: i for i, key in enumerate(dict.fromkeys(records[hue]))}
    for i, (key, part) in enumerate(records.sort_values(x, kind="stable").groupby(keys, sort=False)):
        control, colour = bool(dashed) and key[1], colour_of(key[0], places[key[0]])
        look: dict[str, Any] = dict(fmt=MARKS[places[key[0]] % len(MARKS)], linestyle="--" if control else "-")
        look |= dict(mfc="none") if control else {}
        label, place = name(key[0]) + (", control" if control else ""), part[x] * (1 + 0.02 * i)
        axis.errorbar(place, part["value"], yerr=span(part), color=colour, capsize=3, label=label, **look)
        ends[label] = (place.iloc[-1], part["value"].iloc[-1], colour)
    if scale:
        axis.set_xscale("log", base=scale)
    counts = sorted(set(records[x]))
    axis.set_xticks(counts, counts)
    axis.set(xlabel=xlabel, ylabel=f"{ylabel}\n(95 % interval)")
    labels.at_ends(axis, ends | end_of_guessing(axis, chance))
    return figure


EQUAL = 200
"""Times that fragments are dealt to speakers anew."""


def exposure(table: pd.DataFrame, seed: int = 0) -> Figure:
    """How far fragments give themselves away against how sure models that never saw them are (ReferenceStudy.exposure), and
    the medians of speakers, in their order, beside those of speakers to whom fragments were dealt at random."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), sharey=True)
    look: dict[str, Any] = dict(alpha=0.3, s=12, linewidth=0, color=MEMBER, rasterized=True)
    sns.scatterplot(table, x="outside", y="exposure", ax=left, **look)
    left.set(xlabel="φ of models that did not train on it (nats)", ylabel="exposure (standard deviations)")
    values, speakers = table["exposure"].to_numpy(), table["speaker"].astype(str).to_numpy()
    rng = generator(seed, "equal speakers")
    equal = np.stack([medians(rng.permutation(values), speakers) for _ in range(EQUAL)])
    place = np.arange(equal.shape[1])
    right.fill_between(
        place, *np.quantile(equal, [0.025, 0.975], axis=0), color=LINE, linewidth=0, label="were all equally exposed"
    )
    right.plot(place, medians(values, speakers), "o", color=MEMBER, markersize=4, label="measured")
    right.set(xlabel="speakers, least to most exposed (median of each)")
    right.legend(loc="upper left")
    for axis in (left, right):
        axis.axhline(0, color=SOFT, linestyle=":")
    return figure


def medians(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The median of each group's values, in ascending order."""
    return np.sort(pd.Series(values).groupby(groups).median().to_numpy())
