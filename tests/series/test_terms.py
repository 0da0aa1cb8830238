"""The glossary of notebook 00: every term's first use in a notebook leads there."""

import re

import pytest

from mia_lib.series.notebooks import NOTEBOOKS, find_notebooks
from mia_lib.series.terms import PLACE, TERMS, anchors, linked

SERIES = find_notebooks(NOTEBOOKS)
LINK = re.compile(r"\((00_start_here\.ipynb)?#([a-z0-9-]+)\)")
LINKED = [one for one in SERIES if any(LINK.search("".join(cell["source"])) for cell in one.content["cells"])]


def notebook(*cells):
    return {"cells": [{"cell_type": "markdown", "source": [text]} for text in ("# Title", *cells, "the end")]}


def texts(content):
    return ["".join(cell["source"]) for cell in content["cells"]]


def test_the_glossary_explains_every_term_once():
    (start,) = [one for one in SERIES if one.path.name == PLACE]
    found = anchors(start.content)
    assert len(set(found)) == len(found) and set(TERMS) <= set(found)


@pytest.mark.parametrize("one", LINKED, ids=lambda n: n.name)
def test_first_uses_are_linked_and_no_link_leads_nowhere(one):
    place = "" if one.path.name == PLACE else PLACE
    assert texts(linked(one.content, place)) == texts(one.content), "python -m mia_lib.series.terms sets the links"
    known = set(anchors(SERIES[0].content))
    assert {name for text in texts(one.content) for _, name in LINK.findall(text)} <= known


def test_only_the_first_use_in_prose_is_linked():
    content = linked(
        notebook("## A fragment\n`fragment` and $p_{fragment}$: Fragments, then a fragment.", "a fragment")
    )
    _, first, second, _ = texts(content)
    assert first == f"## A fragment\n`fragment` and $p_{{fragment}}$: [Fragments]({PLACE}#fragment), then a fragment."
    assert second == "a fragment"


def test_of_two_terms_at_one_place_the_longer_is_linked():
    _, text, _ = texts(linked(notebook("a membership protocol, the top-3 attack"), place=""))
    assert text == "a [membership protocol](#protocol), the [top-3 attack](#top-3)"


def test_what_is_linked_already_stays(tmp_path):
    once = linked(notebook("an attack on a target"))
    assert linked(once) == once and texts(once)[1].count("](") == 2
