"""Figures of differential privacy: what noise does to the two worlds with and without a fragment."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from mia_lib.reporting.looks import MEMBER, NON_MEMBER, SOFT
from mia_lib.support.draws import generator


def heaps(distances: dict[float, float], draws: int = 4000, seed: int = 0) -> Figure:
    """What the best attacker sees of many models that trained with a fragment, and of as many that did not: two heaps whose
    centres lie `distances` standard deviations apart, one panel for each epsilon."""
    rng = generator(seed, "heaps of noisy sums")
    figure, axes = plt.subplots(1, len(distances), figsize=(2.2 * len(distances), 2.8), sharey=True, squeeze=False)
    for axis, (epsilon, distance) in zip(axes[0], distances.items(), strict=True):
        edges = np.linspace(-4, distance + 4, 50)
        for shift, colour, label in ((0.0, NON_MEMBER, "without it"), (distance, MEMBER, "trained on it")):
            axis.hist(rng.standard_normal(draws) + shift, edges, color=colour, alpha=0.55, label=label, density=True)
        axis.axvline(distance / 2, color=SOFT, linestyle=":")
        axis.set(title=f"ε = {epsilon:g}", xlabel="", yticks=[])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2)
    figure.supxlabel("what the noisy sums say of one fragment (standard deviations of the noise)", fontsize="medium")
    figure.tight_layout()
    right = {epsilon: norm.cdf(distance / 2) for epsilon, distance in distances.items()}
    often = ", ".join(f"{100 * share:.1f} % of the time at ε = {epsilon:g}" for epsilon, share in right.items())
    figure.set_label(f"The best attacker is right {often}")
    return figure


def costs(table, undefended: float, chance: float) -> Figure:
    """Test accuracy over epsilon, a line for each kind of private training; table: of `selection.screen`, family privacy."""
    figure, axis = plt.subplots(figsize=(7, 3.6))
    names = [name for name in table.index if name != "none"]
    for i, kind in enumerate(dict.fromkeys(name.partition(":")[0] for name in names)):
        own = [name for name in names if name.partition(":")[0] == kind]
        x = [float(name.partition(":")[2]) for name in own]
        axis.plot(x, table.loc[own, "test_accuracy"], "oDs"[i % 3] + "-", label=kind)
    axis.axhline(undefended, color=SOFT, linestyle="--")
    axis.axhline(chance, color=SOFT, linestyle=":")
    axis.annotate("undefended", (0, undefended), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points")
    axis.set(xscale="log", xlabel="ε promised", ylabel="test accuracy", ylim=(0, 1))
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure
