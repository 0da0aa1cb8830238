"""Pages of a run: what is told and in which order, what is folded away, and that every link leads somewhere."""

import json
import re

import pytest
from site_run import made_run

from mia_lib.reporting.prose import formula
from mia_lib.reporting.site import leads_to, write_site


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_run(tmp_path_factory.mktemp("site") / "run")


def page(run, name):
    return (run / "pages" / f"{name}.html").read_text(encoding="utf-8")


def test_every_notebook_has_a_page_between_its_neighbours(run):
    assert {path.name for path in (run / "pages").iterdir()} == {
        "index.html",
        "00_start.html",
        "01_attack.html",
        "search.js",
    }
    assert 'rel="next" href="01_attack.html"' in page(run, "00_start") and 'rel="prev"' not in page(run, "00_start")
    assert 'rel="prev" href="00_start.html"' in page(run, "01_attack")


def test_contents_name_what_is_learnt_and_every_download_is_there(run):
    text = page(run, "index")
    assert "What a fragment is." in text and "Why Zürich is not at risk." in text
    downloads = re.findall(r'href="\.\./([^"]*)" download', text)
    assert downloads == ["results.csv", "run.json", "00_start.ipynb", "01_attack.ipynb"]
    assert all((run / name).is_file() for name in downloads)


def test_set_up_stands_apart_what_was_injected_nowhere_and_no_folder_of_the_machine(run):
    text = page(run, "00_start")
    story, _, setup = text.partition('<details class="setup">')
    assert "import" not in story.partition("<main>")[2] and "The parameters:" not in story
    assert "numpy" in setup and "The parameters:" in setup
    assert '<a href="#setup">folded away</a>' in story and 'id="setup"' in setup
    assert not any("/home/me" in path.read_text() for path in [*(run / "pages").iterdir(), run / "index.html"])


def test_code_is_folded_and_formulas_are_drawn_without_a_script(run):
    text = page(run, "00_start")
    assert text.count('<details class="code">') == 3 and "<details open" not in text
    assert text.count("<math") == 2 and "$" not in text.partition("<main>")[2]
    assert formula(r"\frac{") == r"<code>\frac{</code>"


def test_figures_are_drawn_in_the_colours_of_the_page_and_everything_has_words_in_its_place(run):
    text = page(run, "00_start")
    assert '<svg role="img" aria-label="A curve."' in text and "var(--ink" in text
    assert "image/png" not in text and "data:audio/wav" in text and "printed" in text


def test_links_of_notebooks_lead_to_pages_or_nowhere(run):
    names = {"00_start", "01_attack"}
    assert leads_to(names, "01_attack.ipynb#x") == "01_attack.html#x" and leads_to(names, "#x") == "#x"
    assert leads_to(names, "https://arxiv.org/abs/1911.01888").startswith("https")
    assert not any(leads_to(names, url) for url in ("09_gone.ipynb", "../README.md", "javascript:alert(1)"))
    assert 'href="01_attack.html#How-sure"' in page(run, "00_start") and ">gone<" not in page(run, "00_start")


def test_a_heading_that_is_there_twice_has_two_names(run):
    assert re.findall(r'<h2 id="([^"]*)"', page(run, "01_attack")) == ["How-sure", "How-sure-2"]


def test_the_search_holds_every_section_with_its_words_and_no_set_up(run):
    script = (run / "pages" / "search.js").read_text(encoding="utf-8")
    index = json.loads(re.search(r"const SECTIONS = (.*);", script)[1])
    assert ["00_start.html", "Start here", "How-sure", "How sure"] in [entry[:4] for entry in index]
    words = " ".join(entry[4] for entry in index)
    assert "Zürich" in words and "0.9 [0.8, 1.0]" in words and "numpy" not in words


def test_pages_of_notebooks_that_are_no_longer_there_are_removed(tmp_path):
    run = made_run(tmp_path / "run")
    write_site(run, ["00_start"])
    assert not (run / "pages" / "01_attack.html").exists()
    assert "01_attack.html" not in page(run, "00_start") and "01_attack" not in page(run, "index")


@pytest.mark.parametrize("content", ["", "[]", '{"cells": [3]}', '{"cells": [{"cell_type": "markdown"}]}'])
def test_a_damaged_notebook_has_no_page_and_the_others_keep_theirs(tmp_path, content):
    run = made_run(tmp_path / "run")
    (run / "00_start.ipynb").write_text(content)
    write_site(run, ["00_start", "01_attack"])
    assert not (run / "pages" / "00_start.html").exists() and "00_start.html" not in page(run, "01_attack")
