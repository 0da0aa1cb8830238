"""Words that stand beside what they name, in place of a legend: no two cover each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes

GAP = 1.25
"""Least distance of two lines of type, in heights of a line."""


def at_ends(axis: Axes, lines: dict[str, tuple[float, float, str]]) -> None:
    """Write names right of the axis, each as high as its line ends: name -> (x, y, colour) of the end."""
    place, colours = _pixels(axis, [(x, y) for x, y, _ in lines.values()]), [c for *_, c in lines.values()]
    heights = spread(place[:, 1], _line(axis))
    right = axis.transAxes.transform((1, 0))[0]
    points = 72 / axis.figure.dpi
    for name, colour, (x, y), height in zip(lines, colours, place, heights, strict=True):
        axis.annotate(
            name,
            tuple(axis.transData.inverted().transform((x, y))),
            ((right - x) * points + 9, (height - y) * points),
            textcoords="offset points",
            va="center",
            color=colour,
            parse_math=False,
            annotation_clip=False,
            arrowprops=dict(arrowstyle="-", color=colour, alpha=0.4, linewidth=0.7, shrinkA=1, shrinkB=4),
        )


def spread(heights: np.ndarray, apart: float) -> np.ndarray:
    """Heights [n] moved as little as is needed for each to lie at least so far apart from the next, in their order."""
    order = np.argsort(heights, kind="stable")
    steps = apart * np.arange(len(heights))
    groups: list[list[float]] = []  # of neighbours that touch: sums and counts of heights less their steps
    for value in heights[order] - steps:
        groups.append([value, 1])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] > groups[-1][0] / groups[-1][1]:
            total, count = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + count]
    moved = np.repeat([total / count for total, count in groups], [int(count) for _, count in groups])
    found = np.empty(len(heights))
    found[order] = moved + steps
    return found


def _pixels(axis: Axes, points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Where points of the data lie, in pixels; from now on the figure's layout stays as it is."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return axis.transData.transform(np.asarray(points, dtype=float).reshape(-1, 2))


def _line(axis: Axes) -> float:
    """Pixels from one line of type to the next."""
    return GAP * float(rcParams["font.size"]) * axis.figure.dpi / 72
