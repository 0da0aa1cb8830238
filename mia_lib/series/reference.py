"""`outputs/reference/`: executed notebooks of a few runs, small enough to be committed and read on a repository's web page.

    python -m mia_lib.series.reference outputs/RUN [outputs/RUN ...]

Sound and set-up are left out, and figures have fewer colours. `reference.json` says of which code and notebooks they are:
`stale` compares that with the present ones. The project's first page gets what was found, and the pictures of the first run.
"""

import base64
import html
import io
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from mia_lib.corpora.base import short_name
from mia_lib.evaluation.reading import read_results
from mia_lib.evaluation.records import COLUMNS
from mia_lib.reporting.facts import command, when
from mia_lib.series.headlines import found_in, renewed
from mia_lib.series.notebooks import Notebook, find_notebooks
from mia_lib.series.provenance import DECIDING
from mia_lib.support.cells import INJECTED, SETUP, tags, text_of
from mia_lib.support.digests import digest, file_digest
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.files import read_json, write_atomically
from mia_lib.support.source import packages_digest

REFERENCE = Path(__file__).resolve().parents[2] / "outputs" / "reference"
LARGEST = 4_000_000
"""Bytes that all runs may have together."""
COLOURS, DIGITS = 48, 5
NUMBERS = "results.csv.gz"
"""`results.csv` takes a third of what all may, packed a tenth of that; pandas reads it as it is."""
WIDTHS = (1000, 840, 720, 600)
"""How many dots wide figures may be, the widest first."""
PICTURES = {"main_result": "00_start_here-main_result", "plane": "12_comparison-plane"}
"""Pictures of the project's first page, in `outputs` -> the figures of a run that they are."""
FOLDED = (
    "*Imports, parameters (corpus, seed, settings) and the cell that opens `lab` and `experiment` are left out here; "
    "they stand at the top of the notebook in `notebooks/`.*"
)
SOUND = "*Sound is left out here ({captions}): run the notebook, or open its page, to hear it.*"


def make_reference(run_folders: Sequence[Path], target: Path = REFERENCE) -> Path:
    """Make the reference anew from finished runs, with figures as wide as there is room for. Raises UsageError for other
    folders, MiaError if it is too large."""
    series, folder, size = find_notebooks(), target.with_name(f".{target.name}.new"), 0
    runs = {Path(path): _run(Path(path), series) for path in run_folders}
    for width in WIDTHS:
        shutil.rmtree(folder, ignore_errors=True)
        for path, run in runs.items():
            _copy_run(path, folder / path.name, series, run["parameters"]["corpus"], width)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if size <= LARGEST:
            break
    else:
        found = f"the reference would have {size / 1e6:.1f} MB, and may have {LARGEST / 1e6:.0f}"
        raise MiaError(f"{found}: take fewer runs; what was made is in {folder}")
    about = {path.name: _state(folder / path.name, path, run, series) for path, run in runs.items()}
    write_atomically(folder / "reference.json", json.dumps(about, indent=1) + "\n")
    write_atomically(folder / "README.md", contents({path.name: run for path, run in runs.items()}, series))
    shutil.rmtree(target, ignore_errors=True)
    folder.rename(target)
    return target


def _copy_run(run_folder: Path, target: Path, series: list[Notebook], corpus: str, width: int) -> None:
    """Copy the notebooks and numbers of a run; an own corpus is called by its name, not by where it lies."""
    target.mkdir(parents=True)
    for notebook in series:
        text = (run_folder / f"{notebook.name}.ipynb").read_text(encoding="utf-8")
        content = to_read(json.loads(text.replace(_quoted(corpus), _quoted(short_name(corpus)))), width)
        write_atomically(target / f"{notebook.name}.ipynb", json.dumps(content, ensure_ascii=False) + "\n")
    results = read_results(run_folder / "results.csv")[COLUMNS]
    results["corpus"] = results["corpus"].replace(corpus, short_name(corpus))
    claims = pd.read_csv(run_folder / "claims.csv")
    claims["corpus"] = claims["corpus"].replace(corpus, short_name(corpus))
    for name, table, packed in ((NUMBERS, results, {"method": "gzip", "mtime": 0}), ("claims.csv", claims, None)):
        table.to_csv(target / name, index=False, float_format=f"%.{DIGITS}g", compression=packed)


def _state(copy: Path, run_folder: Path, run: dict, series: list[Notebook]) -> dict:
    """What a run in the reference was made with, and a digest of its numbers."""
    executed = {one.name: json.loads((run_folder / f"{one.name}.ipynb").read_text(encoding="utf-8")) for one in series}
    stories = {name: story_digest(content) for name, content in executed.items()}
    code = {"code": run.get("code"), "commit": run.get("commit")}
    return code | {"results": file_digest(copy / NUMBERS), "notebooks": stories}


def stale(folder: Path = REFERENCE) -> list[str]:
    """What of the code and the notebooks differs from those that the reference was made with, in words; empty if nothing."""
    about, series, code = read_json(folder / "reference.json", {}), find_notebooks(), packages_digest(DECIDING)
    found = [] if about and all(run["code"] == code for run in about.values()) else ["the code that decides numbers"]
    for one in series:
        now = story_digest(one.content)
        if not about or any(run["notebooks"].get(one.name) != now for run in about.values()):
            found.append(one.name)
    return found


def story_digest(content: dict) -> str:
    """Hex digest of a notebook's cells but its set-up."""
    return digest([text_of(cell["source"]) for cell in content["cells"] if not {SETUP, INJECTED} & {*tags(cell)}])


def _quoted(text: str) -> str:
    """A text as JSON holds it within others."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _run(folder: Path, series: list[Notebook]) -> dict:
    """What `run.json` says of a finished run."""
    run = read_json(folder / "run.json", {})
    if not run.get("parameters"):
        raise UsageError(f"{folder} is no folder of a run: give outputs/<run-id>")
    missing = [one.name for one in series if not (folder / f"{one.name}.ipynb").is_file()]
    if missing:
        raise UsageError(f"{folder} lacks {', '.join(missing)}: finish the run first")
    return run


def to_read(content: dict, width: int = WIDTHS[0]) -> dict:
    """An executed notebook without what only operates it, for a web page that shows notebooks."""
    story = [cell for cell in content["cells"] if not {SETUP, INJECTED} & {*tags(cell)}]
    cells = [_cell(cell, width) for cell in story]
    if len(story) < len(content["cells"]):
        cells[:1] = [cell | {"source": below_title(text_of(cell["source"]), FOLDED)} for cell in cells[:1]]
    metadata = {
        name: content["metadata"][name] for name in ("kernelspec", "language_info") if name in content["metadata"]
    }
    return content | {"cells": cells, "metadata": metadata}


def below_title(text: str, line: str) -> str:
    """Markdown with one more line below its title; as it is where it has none."""
    title, gap, rest = text.partition("\n\n")
    return f"{title}\n\n{line}{gap}{rest}" if title.startswith("# ") else text


def _cell(cell: dict, width: int) -> dict:
    kept = {name: cell[name] for name in ("cell_type", "id", "source", "attachments") if name in cell} | {
        "metadata": {}
    }
    if cell["cell_type"] != "code":
        return kept
    outputs = [_output(one, width) for one in cell.get("outputs", []) if one.get("name") != "stderr"]
    return kept | {"execution_count": cell.get("execution_count"), "outputs": outputs}


def _output(output: dict, width: int) -> dict:
    """An output with pictures of fewer colours, and words in place of sound."""
    data = output.get("data", {})
    markup = text_of(data.get("text/html", ""))
    if "<audio" in markup:
        captions = ", ".join(map(html.unescape, re.findall(r"<figcaption>(.*?)</figcaption>", markup)))
        return output | {"data": {"text/markdown": SOUND.format(captions=captions)}, "metadata": {}}
    if "image/png" in data:
        png = base64.b64encode(fewer_colours(base64.b64decode(text_of(data["image/png"])), width)).decode()
        return output | {"data": {"image/png": png, "text/plain": data.get("text/plain", "")}, "metadata": {}}
    if markup:
        return output | {"data": {"text/html": markup}}
    return output


def fewer_colours(png: bytes, width: int = WIDTHS[0]) -> bytes:
    """A picture of so many dots across or fewer, on white, with a small palette."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    if picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    few = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    few.save(content, format="PNG", optimize=True)
    return content.getvalue()


def contents(runs: dict[str, dict], series: list[Notebook]) -> str:
    """The page of the reference, in Markdown: what was run, and links to its notebooks."""
    lines = [
        "# The notebooks, executed",
        "",
        "Made by `python -m mia_lib.series.reference`; not to be changed by hand.",
        "",
    ]
    for name, run in runs.items():
        days = f", {when(run)}" if when(run) else ""
        numbers = f"[claims]({name}/claims.csv), [all numbers]({name}/{NUMBERS})"
        lines += [f"## `{name}`", "", f"`{command(run)}`{days}; {numbers}", ""]
        lines += [f"- [{one.number:02} {one.title}]({name}/{one.name}.ipynb)" for one in series]
        lines += [""]
    return "\n".join(lines)


def main(folders: Sequence[str]) -> int:
    """Make the reference from the folders that are named; returns the exit status."""
    try:
        if not folders:
            raise UsageError("name the folders of finished runs: python -m mia_lib.series.reference outputs/RUN ...")
        print(made := make_reference([Path(name) for name in folders], REFERENCE))
        page = made.parents[1] / "README.md"
        write_atomically(page, renewed(page.read_text(encoding="utf-8"), found_in(made)))
        for name, figure in PICTURES.items():
            picture = Path(folders[0]) / "figures" / f"{figure}.png"
            if not picture.is_file():
                raise UsageError(f"there is no {picture}: the first page keeps an old picture, run that notebook again")
            (made.parent / f"{name}.png").write_bytes(fewer_colours(picture.read_bytes()))
    except MiaError as error:
        print(f"mia_lib: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
