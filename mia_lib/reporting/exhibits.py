"""The figures of a run for a page: by notebook, in the order in which they were shown there."""

from pathlib import Path

from mia_lib.reporting.embed import FIGURES, dots, drawing
from mia_lib.support.files import read_json


def figures(run_folder: Path, notebooks: list[str]) -> list[dict]:
    """For each notebook that has any: its name, and its figures with caption and picture, drawn in the page's colours where
    the drawing is kept, else in dots."""
    found = [{"notebook": name, "figures": _of(run_folder, name)} for name in notebooks]
    return [one for one in found if one["figures"]]


def _of(run_folder: Path, notebook: str) -> list[dict]:
    folder = run_folder / "figures"
    names = sorted(path.stem for path in folder.glob(f"{notebook}-*.png"))
    shown = [name for name in read_json(run_folder / "parts" / notebook / FIGURES, []) if name in names]
    return [_figure(folder, name) for name in [*shown, *(name for name in names if name not in shown)]]


def _figure(folder: Path, name: str) -> dict:
    svg, caption = (folder / f"{name}.{ending}" for ending in ("svg", "txt"))
    text = caption.read_text(encoding="utf-8").strip() if caption.exists() else name
    if svg.exists():
        return {"picture": drawing(svg.read_text(encoding="utf-8"), text), "caption": text}
    return {"picture": dots((folder / f"{name}.png").read_bytes(), text), "caption": text}
