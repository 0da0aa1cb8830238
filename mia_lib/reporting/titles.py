"""Titles that say what a picture shows."""

import textwrap

from matplotlib.figure import Figure

LETTERS = 13  # of a title's type that fit into an inch


def put(figure: Figure, message: str) -> None:
    """Write a message above a figure, broken into lines that are no wider than it. Nothing in it is read as a formula."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what is drawn stays where it is
    lines = textwrap.wrap(message.replace(" %", "\u00a0%"), max(20, int(LETTERS * figure.get_figwidth())))
    title = figure.suptitle("\n".join(lines), x=0.01, y=1.02, ha="left", va="bottom", fontweight="bold")
    title.set_parse_math(False)
