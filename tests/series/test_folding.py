"""Set-up of notebooks: what is marked as such, and what an executed copy says of the machine."""

from mia_lib.series.folding import folded, main, portable


def notebook(*sources):
    cells = [dict(cell_type=kind, id=str(i), metadata={}, source=text) for i, (kind, text) in enumerate(sources)]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


STORY = (
    ("markdown", "# Title"),
    ("code", "import numpy"),
    ("markdown", "The parameters:"),
    ("code", ["lab = Lab(\n", "    name)"]),
    ("markdown", "The story."),
    ("code", "lab.say()"),
)


def marked(content):
    return ["setup" in cell["metadata"].get("tags", []) for cell in content["cells"]]


def test_set_up_reaches_from_the_first_code_to_the_lab():
    content = folded(notebook(*STORY))
    assert marked(content) == [False, True, True, True, False, False]
    assert content["cells"][1]["metadata"]["jupyter"] == {"source_hidden": True}
    assert folded(content) == content


def test_cells_that_are_set_up_no_longer_are_unfolded_and_keep_what_else_is_said_of_them():
    content = folded(notebook(*STORY))
    content["cells"][3]["metadata"]["tags"].append("parameters")
    content["cells"][1]["source"] = "lab = Lab(name)"
    again = folded(content)
    assert marked(again) == [False, True, False, False, False, False]
    assert again["cells"][3]["metadata"] == {"tags": ["parameters"]} and again["cells"][2]["metadata"] == {}


def test_a_notebook_without_a_lab_has_no_set_up():
    assert not any(marked(folded(notebook(("code", "1 + 1"), ("markdown", "Words.")))))


def test_an_executed_copy_names_no_folder_and_writes_to_where_it_lies():
    content = notebook(*STORY, ("code", '# Parameters\noutputs = "/home/me/outputs"\nseed = 0\n'))
    content["cells"][-1]["metadata"]["tags"] = ["injected-parameters"]
    content["metadata"]["papermill"] = {
        "parameters": {"outputs": "/home/me/outputs", "seed": 0},
        "input_path": "/home/me/a",
    }
    again = portable(content)
    assert "/home/me" not in str(again)
    assert "".join(again["cells"][-1]["source"]) == '# Parameters\noutputs = ".."\nseed = 0\n'


def test_the_notebooks_of_a_folder_are_marked_and_their_sources_stay(series):
    series.add("01_first", "lab = Lab(name)")
    before = (series.notebooks / "01_first.ipynb").read_text()
    main(series.notebooks)
    after = (series.notebooks / "01_first.ipynb").read_text()
    assert after.count('"setup"') == 4 and before.count('"setup"') == 0
    assert [line for line in after.splitlines() if "Lab" in line] == [
        line for line in before.splitlines() if "Lab" in line
    ]
