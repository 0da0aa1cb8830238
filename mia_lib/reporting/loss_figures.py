"""What defenses do to the losses of what a model was trained on, and of what it was not."""

import numpy as np
from matplotlib.figure import Figure

from mia_lib.reporting.looks import MEMBER, NON_MEMBER, plt

SMALLEST, LARGEST = 1e-6, 30.0  # nats; what lies beyond stands at the edge
BINS = 32


def losses(of: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Histograms of losses in nats, members' and non-members', of several models: name -> (members [n], non-members [m])."""
    every = np.concatenate([values for sides in of.values() for values in sides])
    low, high = np.clip([np.quantile(every, 0.005), every.max()], SMALLEST, LARGEST)
    edges = np.geomspace(0.9 * low, 1.1 * high, BINS + 1)
    columns = min(len(of), 4)
    rows = -(-len(of) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.3 * columns, 2.1 * rows), sharex=True, sharey=True, squeeze=False
    )
    for axis, (name, sides) in zip(axes.flat, of.items(), strict=False):
        for values, colour in zip(sides, (MEMBER, NON_MEMBER), strict=True):
            share = np.full(len(values), 1 / len(values))
            axis.hist(np.clip(values, low, high), edges, weights=share, color=colour, histtype="stepfilled", alpha=0.45)
        axis.set(xscale="log")
        axis.set_title(name, parse_math=False)
    for axis in axes.flat[len(of) :]:
        axis.set_visible(False)
    axes[0, 0].text(0.04, 0.95, "members", color=MEMBER, transform=axes[0, 0].transAxes, va="top")
    axes[0, 0].text(0.04, 0.83, "non-members", color=NON_MEMBER, transform=axes[0, 0].transAxes, va="top")
    figure.supxlabel("loss (nats, logarithmic)", fontsize="medium")
    figure.supylabel("share of fragments", fontsize="medium")
    return figure
