"""How all figures look: one colour for each role of the series, one size of type, and pictures for light and dark pages."""

import io
import re
from typing import Any, cast

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

INK, SOFT, LINE, PAPER = "#1d2430", "#5b6473", "#d8dde6", "#fefefe"
"""Text and axes, what stands back, grids, and what is hollow: in a page they take its own colours."""
MEMBER, NON_MEMBER, STRANGER = "#d55e00", "#0173b2", "#029e73"
UNDEFENDED, DEFENDED, CONTROL = INK, "#9b5fc0", "#8a919c"
ROLES = {
    "member": MEMBER,
    "non-member": NON_MEMBER,
    "stranger": STRANGER,
    "undefended": UNDEFENDED,
    "defended": DEFENDED,
    "control": CONTROL,
}
"""The colour of each role, in every figure of the series. What plays no role takes one of OTHERS."""
OTHERS = ("#4c5fd7", "#c2569b", "#a0763a", "#2f9fd0", "#8c8c00", "#7a4f3a", "#e377c2", "#5f9ea0")
"""Colours of what plays no role, such as several attacks or corpora; each also has a mark of MARKS, and a label."""
MARKS = "oDs^vPX*"
TYPE = 10
"""Points of all type."""
DOTS = 192
"""Dots an inch of a picture that is kept as dots: two for each that a page counts."""
IN_A_PAGE = {INK: "--ink", SOFT: "--soft", LINE: "--line", PAPER: "--page"}


_WORDS = {
    "never s": STRANGER,
    "stranger": STRANGER,
    "non-member": NON_MEMBER,
    "other recordings": NON_MEMBER,
    "did not": NON_MEMBER,
    "trained on": MEMBER,
    "member": MEMBER,
    "under attack": UNDEFENDED,
    "undefended": UNDEFENDED,
    "control": CONTROL,
}


def colour_of(label: str, place: int = 0) -> str:
    """The colour of the role that a label names; of what plays none, the one of its place among OTHERS."""
    if any(word in label for word in ("model that never", "heard none")):
        return CONTROL
    return next((colour for word, colour in _WORDS.items() if word in label), OTHERS[place % len(OTHERS)])


def style() -> None:
    """Set the look of all figures, whatever a matplotlibrc of the user says."""
    plt.rcdefaults()
    sns.set_theme(context="notebook", style="whitegrid", palette=list(OTHERS))
    sizes = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
    inks = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "patch.edgecolor")
    looks: dict[str, Any] = dict.fromkeys((*sizes, "legend.title_fontsize", "figure.titlesize"), TYPE) | dict.fromkeys(
        inks, INK
    )
    looks |= {"grid.color": LINE, "axes.edgecolor": LINE, "legend.frameon": False, "legend.facecolor": "none"}
    looks |= {"axes.facecolor": "none", "figure.dpi": 96, "savefig.bbox": "tight", "figure.autolayout": True}
    looks |= {"svg.fonttype": "none", "svg.hashsalt": "mia_lib"}
    plt.rcParams.update(cast(Any, looks))


def as_png(figure: Figure) -> bytes:
    """A figure on white, with twice the dots that a page counts."""
    content = io.BytesIO()
    figure.savefig(content, dpi=DOTS, facecolor="white")
    return content.getvalue()


def as_svg(figure: Figure) -> str:
    """A figure without a ground of its own, for a page: text and axes take the page's colours, light or dark.

    Clouds of very many points should be drawn with `rasterized=True`: they are kept as dots.
    """
    content = io.StringIO()
    figure.savefig(content, format="svg", dpi=DOTS, transparent=True, metadata={"Date": None})
    text = content.getvalue()
    text = text[text.index("<svg") :].replace("<svg ", '<svg style="stroke-linejoin: round; stroke-linecap: butt" ', 1)
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # several figures of a page would share these names
    for colour, name in IN_A_PAGE.items():
        text = re.sub(rf"(?<=: ){colour}\b", f"var({name}, {colour})", text, flags=re.IGNORECASE)
    return re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
