"""A map of the series: what each notebook asks, how long it takes to read, and how long a machine takes."""

import re
from pathlib import Path

from mia_lib.series.notebooks import NOTEBOOKS, Notebook, find_notebooks

WORDS_A_MINUTE, SECONDS_A_LINE = 180, 5
PROMISE = re.compile(r"\*\*You will learn\*\*\s*(.*)")
MACHINE = re.compile(r"\*\*How long:\*\*\s*(.*?) in profile `standard`")


def reading_minutes(notebook: Notebook) -> int:
    """Minutes that prose and code take to read, without doing the exercises; at least one."""
    prose, lines = 0, 0
    for cell in notebook.content["cells"]:
        text = "".join(cell["source"])
        if "setup" in cell["metadata"].get("tags", []) or "parameters" in cell["metadata"].get("tags", []):
            continue
        if cell["cell_type"] == "markdown":
            prose += len(text.split())
        else:
            lines += len(text.splitlines())
    return max(1, round(prose / WORDS_A_MINUTE + lines * SECONDS_A_LINE / 60))


def series_map(folder: Path = NOTEBOOKS) -> str:
    """A Markdown table with a row for each notebook: link, what one learns, reading time, and the machine time of profile
    `standard` as the notebook itself states it."""
    rows = ["| notebook | you learn | to read | to run, on `demo` |", "| --- | --- | --- | --- |"]
    total = 0
    for notebook in find_notebooks(folder):
        head = "".join(notebook.content["cells"][0]["source"])
        promise, machine = (found.group(1) if (found := rule.search(head)) else "–" for rule in (PROMISE, MACHINE))
        minutes = reading_minutes(notebook)
        total += minutes
        name = f"{notebook.number:02} {notebook.title}"
        rows.append(f"| [{name}]({notebook.path.name}) | {promise.rstrip('.')} | {minutes} min | {machine} |")
    rows.append(f"| all | | {total // 60} h {total % 60} min | |")
    return "\n".join(rows)
