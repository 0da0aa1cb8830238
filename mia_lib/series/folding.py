"""Set-up cells of notebooks fold away: collapsed in JupyterLab, apart in pages. Run, this marks all notebooks of the series.

Only metadata of cells are touched. What an executed copy says of the machine's folders is replaced by its own place.
"""

import json
from pathlib import Path

from mia_lib.series.notebooks import NOTEBOOKS, find_notebooks
from mia_lib.support.cells import INJECTED, SETUP, tags, text_of
from mia_lib.support.files import write_atomically

OPENS = "lab = Lab("
"""What the last cell of a set-up says."""


def folded(content: dict) -> dict:
    """A notebook whose set-up is marked and collapsed, from its first code cell to the one that opens the Lab, and no other
    cell; a new dictionary."""
    content = json.loads(json.dumps(content))
    cells = content["cells"]
    code = [place for place, cell in enumerate(cells) if cell["cell_type"] == "code"]
    last = next((place for place in code if OPENS in text_of(cells[place]["source"])), -1)
    for place, cell in enumerate(cells):
        _mark(cell, bool(code) and code[0] <= place <= last)
    return content


def _mark(cell: dict, setup: bool) -> None:
    about = cell.setdefault("metadata", {})
    others = [tag for tag in tags(cell) if tag != SETUP]
    named, hidden = ([*others, SETUP] if setup else others), about.get("jupyter", {}) | {"source_hidden": True}
    if not setup:
        hidden = {name: value for name, value in about.get("jupyter", {}).items() if name != "source_hidden"}
    for name, value in (("tags", named), ("jupyter", hidden)):
        about.pop(name, None)
        if value:
            about[name] = value


def portable(content: dict) -> dict:
    """An executed copy that names no folder of outputs: opened where it lies, it writes to where it was made."""
    content = folded(content)
    about = content["metadata"].get("papermill", {})
    for name in ("input_path", "output_path"):
        about.pop(name, None)
    about.get("parameters", {}).pop("outputs", None)
    for cell in content["cells"]:
        if INJECTED in tags(cell):
            lines = text_of(cell["source"]).splitlines(keepends=True)
            cell["source"] = ['outputs = ".."\n' if line.startswith("outputs = ") else line for line in lines]
    return content


def main(folder: Path = NOTEBOOKS) -> None:
    """Fold the set-up of all notebooks of a folder."""
    for notebook in find_notebooks(folder):
        write_atomically(notebook.path, json.dumps(folded(notebook.content), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
