"""The committed notebooks follow the conventions that readers and the runner rely on."""

import ast
import json
import re
import statistics

import pytest

from mia_lib.series.folding import folded
from mia_lib.series.notebooks import NOTEBOOKS, check_parameters, find_notebooks
from mia_lib.support.errors import MiaError

SERIES = find_notebooks(NOTEBOOKS)


@pytest.mark.parametrize("notebook", SERIES, ids=lambda n: n.name)
def test_a_notebook_keeps_the_conventions(notebook):
    cells = notebook.content["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    lengths = [len(c["source"]) for c in code]
    assert not any(c["outputs"] or c["execution_count"] for c in code)
    assert notebook.content["metadata"]["kernelspec"]["name"] == "python3"
    assert len({c["id"] for c in cells}) == len(cells)
    assert max(lengths) <= 15 and statistics.median(lengths) < 8 and len(code) <= 25
    assert sum("parameters" in c["metadata"].get("tags", []) for c in code) == 1


@pytest.mark.parametrize("notebook", SERIES, ids=lambda n: n.name)
def test_the_set_up_of_a_notebook_folds_away_and_nothing_else_does(notebook):
    marked = folded(notebook.content)
    assert any("setup" in cell["metadata"].get("tags", []) for cell in marked["cells"])
    assert marked == notebook.content, "python -m mia_lib.series.folding marks the cells"


@pytest.mark.parametrize("notebook", SERIES, ids=lambda n: n.name)
def test_a_notebook_links_to_its_neighbours(notebook):
    place = [n.name for n in SERIES].index(notebook.name)
    last = "".join(notebook.content["cells"][-1]["source"])
    for other in (place - 1, place + 1):
        if 0 <= other < len(SERIES):
            assert f"({SERIES[other].path.name})" in last
    assert json.dumps(notebook.content)


@pytest.mark.parametrize("notebook", SERIES, ids=lambda n: n.name)
def test_a_reader_writes_every_forecast_and_finds_none_written(notebook):
    code = "\n".join("".join(c["source"]) for c in notebook.content["cells"] if c["cell_type"] == "code")
    for said in re.findall(r"^my_\w+ = (.+)$", code, re.MULTILINE):
        value = ast.literal_eval(said)
        assert set(value.values() if isinstance(value, dict) else [value]) == {None}


@pytest.mark.parametrize("notebook", SERIES, ids=lambda n: n.name)
def test_every_question_at_the_end_has_its_hint(notebook):
    (end,) = [text for c in notebook.content["cells"] if "*To try here" in (text := "".join(c["source"]))]
    questions = re.findall(r"^(\d+)\. ", end.partition("*To try here")[2], re.MULTILINE)
    assert questions == re.findall(r"<summary>Hint (\d+)</summary>", end) != []


def test_every_notebook_declares_the_agreed_parameters():
    assert [notebook.number for notebook in SERIES] == list(range(len(SERIES)))
    for notebook in SERIES:
        check_parameters(notebook)


def test_an_installed_package_without_the_notebooks_says_where_they_are(tmp_path):
    with pytest.raises(MiaError, match=r"no notebooks in .*: they are no part of the package.*own folder"):
        find_notebooks(tmp_path)
