"""The page of an audit in a real browser: nothing leaves it, it fits a phone, its links work and names stay text."""

import shutil

import pytest
from pages import ATTACKS, HOSTILE, LONG, of_persons, with_sound
from support.browser import Tab, started

from mia_lib.auditing.report import judge

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
websocket = pytest.importorskip("websocket")

CONTRAST = """
(() => {
  const light = (text) => { const parts = text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]; };
  const page = light(getComputedStyle(document.body).backgroundColor);
  const shown = ["soft", "chance", "leak", "interval"].map((name) => {
    const one = document.body.appendChild(document.createElement("p")); one.className = name; return one; });
  const others = ["li", "nav a", "svg.roc text"].map((name) => document.querySelector(name));
  return [...shown, ...others].map((one) => {
    const look = getComputedStyle(one), ink = light(one.tagName == "text" ? look.fill : look.color);
    return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05); });
})()
"""
"""Contrast of text with the page (WCAG 2.1), of each kind of text."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    sound = judge(with_sound(folder / "recordings", confounded=True), draws=20, attacks=ATTACKS)
    persons = judge(of_persons(), draws=20, attacks=["mean_cosine", "speaker_similarity"])
    return {name: one.save(folder / name) / "index.html" for name, one in dict(sound=sound, persons=persons).items()}


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with started(tmp_path_factory.mktemp("chromium")) as address:
        yield Tab(address)


@pytest.mark.parametrize("name", ["sound", "persons"])
def test_no_request_leaves_the_page(tab, pages, name):
    tab.open(pages[name])
    tab.ask("new Promise((done) => setTimeout(done, 200))")
    assert {one.partition(":")[0] for one in tab.requests} <= {"file", "data"}
    assert [one for one in tab.requests if one.startswith("file:")] == [pages[name].as_uri()]


@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("name", ["sound", "persons"])
def test_the_page_does_not_scroll_sideways(tab, pages, name, width):
    tab.open(pages[name], width)
    widest = (
        "document.querySelectorAll('details').forEach((one) => one.open = true), document.documentElement.scrollWidth"
    )
    assert tab.ask(f"({widest})") <= width
    assert tab.ask("[...document.querySelectorAll('table')].every((one) => one.parentElement.className == 'scroll')")


def test_links_of_the_contents_lead_to_their_sections(tab, pages):
    tab.open(pages["sound"])
    links = tab.ask("[...document.querySelectorAll('nav a')].map((one) => one.getAttribute('href'))")
    assert len(links) == 6
    for link in links:
        tab.ask(f"document.querySelector('nav a[href=\"{link}\"]').click()")
        top, height, below = tab.ask(
            f"(() => {{ const top = document.querySelector('{link}').getBoundingClientRect().top; return [top, innerHeight, "
            "document.documentElement.scrollHeight - scrollY - innerHeight]; })()"
        )
        assert tab.ask("location.hash") == link and (abs(top) < 2 or (below < 2 and 0 <= top < height))


def test_a_hostile_name_is_shown_as_text(tab, pages):
    tab.open(pages["sound"])
    assert tab.ask("window.hacked === undefined") and not tab.dialogs
    assert tab.ask("document.querySelectorAll('script, img, td b, th b').length") == 0
    names = tab.ask("[...document.querySelectorAll('#exposed ~ .scroll bdi')].map((one) => one.textContent)")
    assert HOSTILE in names and LONG in names
    assert HOSTILE in tab.ask("document.querySelector('h1').textContent")


@pytest.mark.parametrize("name", ["sound", "persons"])
def test_figures_and_sounds_have_texts_in_their_place(tab, pages, name):
    tab.open(pages[name])
    texts = tab.ask(
        "[...document.querySelectorAll('svg:not([aria-hidden]), img, audio')].map((one) => one.getAttribute('aria-label'))"
    )
    assert texts and all(texts)
    curves = tab.ask("[...document.querySelectorAll('svg.roc .curve')].map((one) => one.getBBox().width)")
    assert curves and max(curves) > 50


def test_sounds_can_be_played(tab, pages):
    tab.open(pages["sound"])
    heard = "(one) => new Promise((done) => { one.onloadedmetadata = () => done(one.duration); one.load(); })"
    lengths = tab.ask(f"Promise.all([...document.querySelectorAll('audio')].map({heard}))")
    assert len(lengths) == 10 and lengths == pytest.approx([0.3] * 10, abs=0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_colour_schemes(tab, pages, scheme):
    tab.open(pages["sound"], scheme=scheme)
    assert min(tab.ask(CONTRAST)) >= 4.5
    dark = tab.ask("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


def test_what_is_folded_on_the_screen_is_printed_and_players_are_not(tab, pages):
    tab.open(pages["sound"], width=700, media="print")
    assert tab.ask("[...document.querySelectorAll('audio, nav')].every((one) => !one.offsetHeight)")
    assert tab.ask("[...document.querySelectorAll('details table')].every((one) => one.checkVisibility())")
