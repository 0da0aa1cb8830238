"""The notebooks of the series: which there are, what each needs, and whether its parameters are the agreed ones."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from mia_lib.series.request import PARAMETERS
from mia_lib.support.errors import MiaError, UsageError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@dataclass(frozen=True)
class Notebook:
    """One numbered notebook. `needs` names the notebooks without whose success it makes no sense to start it; `work` what
    it trains, and `seconds` what all else takes (see `mia_lib.cost`)."""

    number: int
    name: str
    path: Path
    title: str
    needs: tuple[str, ...]
    work: tuple[str, ...]
    seconds: float
    content: dict


def find_notebooks(folder: Path = NOTEBOOKS) -> list[Notebook]:
    """The notebooks `NN_name.ipynb` of a folder in order; raises MiaError if there are none or one is unreadable."""
    paths = [path for path in sorted(folder.glob("*.ipynb")) if re.match(r"\d\d_", path.name)]
    if not paths:
        raise MiaError(
            f"no notebooks in {folder}: they are no part of the package, so `run` works where the project "
            "was installed from its own folder with `pip install -e .`"
        )
    return [_read(path) for path in paths]


def _read(path: Path) -> Notebook:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        about = content["metadata"].get("mia_lib", {})
        needs, work = (tuple(about.get(name, [])) for name in ("needs", "work"))
        seconds = float(about.get("seconds", 0))
        headings = [
            line.removeprefix("# ").strip()
            for cell in content["cells"]
            if cell["cell_type"] == "markdown"
            for line in "".join(cell["source"]).splitlines()
            if line.startswith("# ")
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MiaError(f"{path} cannot be read as a notebook: {error}") from None
    return Notebook(int(path.name[:2]), path.stem, path, next(iter(headings), path.stem), needs, work, seconds, content)


def select(notebooks: list[Notebook], only: str | None) -> list[Notebook]:
    """The notebooks whose numbers `only` lists, as in `04,07` (None: all); raises UsageError for unknown ones."""
    if only is None:
        return notebooks
    known = {notebook.number: notebook for notebook in notebooks}
    chosen = []
    for word in only.split(","):
        number = int(word) if re.fullmatch(r"\s*\d{1,4}\s*", word) else -1
        if number not in known:
            numbers = ", ".join(f"{number:02}" for number in known)
            raise UsageError(f"unknown notebook number {word.strip()!r}: choose from {numbers}")
        chosen.append(number)
    return [known[number] for number in sorted(set(chosen))]


def check_parameters(notebook: Notebook) -> None:
    """Raise MiaError unless the notebook declares exactly `PARAMETERS`: papermill itself lets every slip pass."""
    import papermill

    try:
        declared = papermill.inspect_notebook(str(notebook.path).replace("{", "{{").replace("}", "}}"))
    except ValueError as error:
        raise MiaError(f"{notebook.path.name} does not say its language and kernel: {error}") from None
    for name in declared.keys() ^ PARAMETERS.keys():
        fault = "lacks the parameter" if name in PARAMETERS else "has the unknown parameter"
        raise MiaError(f"{notebook.path.name} {fault} {name!r}: its parameters cell must have {', '.join(PARAMETERS)}")
    for name, kind in PARAMETERS.items():
        if declared[name]["inferred_type_name"] != kind.__name__:
            found = declared[name]["inferred_type_name"]
            raise MiaError(f"{notebook.path.name} declares {name!r} as {found}: it must be {kind.__name__}")


def needed(name: str, notebooks: list[Notebook]) -> set[str]:
    """The names of all notebooks that the one called `name` needs, directly or through others."""
    needs = {notebook.name: notebook.needs for notebook in notebooks}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for other in needs.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
