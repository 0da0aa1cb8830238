"""Pages and report of a run in a real browser: nothing leaves them, links lead on, they fit a phone, dark and on paper."""

import json
import shutil
from pathlib import Path

import pytest
from site_run import made_run
from support.browser import Tab, started

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
websocket = pytest.importorskip("websocket")

PAGES = ["index.html", "pages/index.html", "pages/00_start.html", "pages/01_attack.html"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_run(tmp_path_factory.mktemp("browsed") / "run")


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with started(tmp_path_factory.mktemp("chromium")) as address:
        yield Tab(address)


@pytest.mark.parametrize("name", PAGES)
def test_no_request_leaves_the_pages(tab, run, name):
    tab.open(run / name)
    tab.ask("new Promise((done) => setTimeout(done, 200))")
    own = {(run / name).as_uri(), (run / "pages" / "search.js").as_uri()}
    assert {one for one in tab.requests if not one.startswith("data:")} <= own
    assert tab.ask("window.hacked === undefined") and not tab.dialogs


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file_and_a_place_that_are_there(tab, run, name):
    tab.open(run / name)
    links = tab.ask("[...document.querySelectorAll('a[href]')].map((one) => one.href)")
    found = {link for link in links if link.startswith("file:")}
    assert found
    for link in sorted(found):
        address, _, anchor = link.partition("#")
        tab.open(run / name)
        path = tab.ask(f"decodeURIComponent(new URL({json.dumps(address)}).pathname)")
        assert Path(path).is_file(), link
        if anchor:
            tab.open(Path(path))
            assert tab.ask(f"!!document.getElementById(decodeURIComponent({json.dumps(anchor)}))"), link


@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways(tab, run, name, width):
    tab.open(run / name, width)
    tab.ask("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert tab.ask("document.documentElement.scrollWidth") <= width


def test_a_search_finds_words_whatever_their_case_and_accents_and_leads_to_their_section(tab, run):
    tab.open(run / "pages/index.html")
    tab.ask(
        "(() => { const field = document.querySelector('#search'); field.value = 'zurich RISK';"
        " field.dispatchEvent(new Event('input')); })()"
    )
    found = tab.ask(
        "[...document.querySelectorAll('#found a')].map((one) => [one.getAttribute('href'), one.textContent])"
    )
    assert found == [["01_attack.html#The-attack", "The attack"]]
    tab.ask(
        "(() => { const field = document.querySelector('#search'); field.value = 'nowhere';"
        " field.dispatchEvent(new Event('input')); })()"
    )
    assert tab.ask("document.querySelector('#count').textContent") == "0 found"


def test_sounds_can_be_played(tab, run):
    tab.open(run / "pages/00_start.html")
    heard = "(one) => new Promise((done) => { one.onloadedmetadata = () => done(one.duration); one.load(); })"
    lengths = tab.ask(f"Promise.all([...document.querySelectorAll('audio')].map({heard}))")
    assert lengths == pytest.approx([0.25], abs=0.02)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_type_of_figures_and_pages_can_be_read_in_both_colour_schemes(tab, run, scheme):
    tab.open(run / "pages/00_start.html", scheme=scheme)
    colours = tab.ask(
        "[...document.querySelectorAll('svg text, main p')].map((one) => getComputedStyle(one)"
        "[one.tagName == 'text' ? 'fill' : 'color'])"
    )
    ground = tab.ask("getComputedStyle(document.body).backgroundColor")
    assert len(colours) > 5 and min(contrast(colour, ground) for colour in colours) > 7
    assert (ground != "rgb(255, 255, 255)") == (scheme == "dark")


def contrast(one, other):
    """Contrast of two colours such as `rgb(1, 2, 3)` (WCAG 2.1)."""
    lights = []
    for colour in (one, other):
        parts = [float(part) / 255 for part in colour.partition("(")[2].rstrip(")").split(",")[:3]]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] + 0.05)
    return max(lights) / min(lights)


def test_on_paper_there_are_no_controls_and_no_code_and_nothing_is_wider_than_the_paper(tab, run):
    tab.open(run / "pages/00_start.html", width=700, media="print")
    folded = "header, details.code, details.setup, nav.steps"
    assert tab.ask(f"[...document.querySelectorAll('{folded}')].every((one) => !one.offsetHeight)")
    assert tab.ask("[...document.querySelectorAll('svg')].every((one) => one.getBoundingClientRect().right <= 700)")
