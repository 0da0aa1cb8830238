"""Executed notebooks as parts of pages: prose, code that is folded away, and what cells showed. Set-up is kept apart."""

import base64
import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.highlight import Highlight2HTML

from mia_lib.reporting.embed import FIGURE, dots, drawing
from mia_lib.reporting.prose import Renderer, formula, markdown, plain
from mia_lib.support.cells import INJECTED, SETUP, tags, text_of


@dataclass
class Section:
    """A heading of a page, the name by which links find it, and the words below it."""

    heading: str
    name: str
    words: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """A notebook as HTML: its title, its set-up and its story, and its sections for a search."""

    title: str
    setup: str
    story: str
    sections: list[Section]


def page_of(notebook: Path, figures: Path, goes_to: Callable[[str], str]) -> Page:
    """An executed notebook as a page.

    figures: where the run keeps its figures. goes_to: see `prose.Renderer`.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    renderer, parts = Renderer(goes_to), {True: list[str](), False: list[str]()}
    for cell in cells:
        if INJECTED not in tags(cell):
            parts[SETUP in tags(cell)].append(_cell(cell, figures, renderer))
    story = "\n".join(parts[False])
    sections = sections_of(story)
    title = next((section.heading for section in sections if section.heading), notebook.stem)
    return Page(title, "\n".join(parts[True]), story, sections)


def sections_of(story: str) -> list[Section]:
    """The headings of a page with the words between them; what stands before the first has no heading."""
    found = [Section("", "")]
    for part in re.split(r"(?=<h[1-4] id=)", story):
        heading = re.match(r'<h[1-4] id="([^"]*)">(.*?)</h[1-4]>', part, flags=re.DOTALL)
        if heading:
            found.append(Section(plain(heading[2]), html.unescape(heading[1])))
        below = part[heading.end() if heading else 0 :]
        found[-1].words.append(plain(re.sub(r"<pre\b.*?</pre>", " ", below, flags=re.DOTALL)))
    return [section for section in found if section.heading or any(section.words)]


def _cell(cell: dict, figures: Path, renderer: Renderer) -> str:
    source = text_of(cell["source"])
    if cell["cell_type"] == "markdown":
        return markdown(source, renderer)
    if cell["cell_type"] != "code":
        return ""
    shown = "\n".join(_output(output, figures, renderer) for output in cell.get("outputs", []))
    if not source.strip():
        return shown
    code = Highlight2HTML()(source, language="python")
    return f'<details class="code"><summary>Code</summary>{code}</details>\n{shown}'


def _output(output: dict, figures: Path, renderer: Renderer) -> str:
    """What a cell showed, in the richest of its forms; warnings of libraries are no part of the story."""
    kind, data = output["output_type"], output.get("data", {})
    if kind == "stream":
        return _verbatim(text_of(output["text"])) if output.get("name") == "stdout" else ""
    if kind == "error":
        return _verbatim("\n".join(output.get("traceback", [])))
    if FIGURE in output.get("metadata", {}):
        return _figure(output, figures)
    if "text/html" in data:
        return f'<div class="scroll output">{_unbroken(text_of(data["text/html"]))}</div>'
    if "image/png" in data:
        return _dots(output)
    if "text/markdown" in data:
        return f'<div class="output">{markdown(text_of(data["text/markdown"]), renderer)}</div>'
    if "text/latex" in data:
        return f'<p class="scroll formula">{formula(text_of(data["text/latex"]).strip().strip("$"), "block")}</p>'
    return _verbatim(text_of(data.get("text/plain", "")))


def _unbroken(markup: str) -> str:
    """Intervals and percentages of a table are not broken into lines, names only where they are joined; cells of whole
    sentences are marked as words."""
    markup = re.sub(r"\[([-+−\d.,]+), ([-+−\d.,]+)\]", "[\\1,\u00a0\\2]", markup)
    markup = re.sub(r">[^<>]*_[^<>]*(?=</th>)", lambda name: re.sub(r"(?<=[_+])", "<wbr>", name[0]), markup)
    markup = re.sub(r"<td>(?=[^<]{40,}<)", '<td class="words">', markup)
    return re.sub(r"(?<=\d) %", "\u00a0%", markup)


def _verbatim(text: str) -> str:
    return f'<pre class="scroll output">{ansi2html(text)}</pre>' if text.strip() else ""


def _figure(output: dict, figures: Path) -> str:
    """A figure of a run: drawn in the page's colours where its drawing is kept, else in dots."""
    path = figures / f"{output['metadata'][FIGURE]}.svg"
    alt = output["metadata"].get("image/png", {}).get("alt", "")
    return drawing(path.read_text(encoding="utf-8"), alt) if path.is_file() else _dots(output)


def _dots(output: dict) -> str:
    about = output.get("metadata", {}).get("image/png", {})
    png = base64.b64decode(text_of(output["data"]["image/png"]))
    return dots(png, about.get("alt", ""), about.get("width"))
