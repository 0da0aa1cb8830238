"""The map of the series: a row for each notebook, read off the notebooks."""

from mia_lib.series.contents import reading_minutes, series_map
from mia_lib.series.notebooks import NOTEBOOKS, Notebook, find_notebooks


def cell(kind, text, **metadata):
    return dict(cell_type=kind, source=[text], metadata=metadata)


def test_every_notebook_has_a_row_that_leads_to_it():
    rows = series_map().splitlines()[2:-1]
    for row, notebook in zip(rows, find_notebooks(NOTEBOOKS), strict=True):
        assert f"]({notebook.path.name})" in row and row.count("|") == 5


def test_reading_time_counts_words_and_lines_but_no_set_up():
    cells = [cell("markdown", "word " * 360), cell("code", "x\n" * 12), cell("code", "x\n" * 600, tags=["setup"])]
    notebook = Notebook(1, "01_x", NOTEBOOKS, "x", (), (), 0.0, {"cells": cells})
    assert reading_minutes(notebook) == 3
