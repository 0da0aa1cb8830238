"""A Markdown page as a notebook: its blocks of Python are the code cells, what stands between them the prose."""

import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mia_lib.course.chapters import FENCE


def notebook_of(path: Path) -> Any:
    """The notebook that a page makes."""
    cells, position = [], 0
    text = path.read_text(encoding="utf-8")
    for block in FENCE.finditer(text):
        cells += [new_markdown_cell(text[position : block.start()].strip()), new_code_cell(block[1].rstrip())]
        position = block.end()
    cells.append(new_markdown_cell(text[position:].strip()))
    notebook = new_notebook(cells=[cell for cell in cells if cell.source])
    for number, cell in enumerate(notebook.cells):
        cell["id"] = re.sub(r"\W+", "-", f"{path.stem}-{number}")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(notebook)
    return notebook
