"""`pages/`: the notebooks of a run as pages to read, with contents, a search and downloads, from the disk alone."""

import functools
import json
import re
from pathlib import Path

from mia_lib.corpora.base import is_synthetic, short_name
from mia_lib.reporting.executed import Page, page_of
from mia_lib.reporting.glossary import GLOSSARY
from mia_lib.reporting.templates import rendered
from mia_lib.support.digests import digest, regular
from mia_lib.support.files import read_json, write_atomically
from mia_lib.support.progress import duration

PAGES = "pages"
"""The folder of a run in which its pages lie."""
DOWNLOADS = {
    "results.csv": "every measured number, one a row",
    "claims.csv": "what was claimed beforehand, and what became of it",
    "run.json": "parameters, versions and times",
}


def write_site(run_folder: Path, notebooks: list[str]) -> None:
    """Write the pages of some executed notebooks of a run, and remove those of others.

    Contents are `pages/index.html`; each notebook is `pages/NN_name.html`; `pages/search.js` holds what can be searched.
    """
    folder, run = run_folder / PAGES, read_json(run_folder / "run.json", {})
    folder.mkdir(exist_ok=True)
    names = [name for name in notebooks if _page(run_folder, name, tuple(notebooks))]
    shown = {name: page for name in names if (page := _page(run_folder, name, tuple(names)))}
    for old in folder.glob("*.html"):
        if old.stem not in (*shown, "index"):
            old.unlink()
    index = [
        [f"{name}.html", page.title, section.name, section.heading, " ".join(section.words)]
        for name, page in shown.items()
        for section in page.sections
    ]
    script = rendered("search.js", index=json.dumps(index, ensure_ascii=False).replace("</", "<\\/"))
    write_atomically(folder / "search.js", script)
    parameters = run.get("parameters", {})
    common = {"run_id": run_folder.name, "parameters": parameters, "corpus": short_name(parameters.get("corpus", ""))}
    common |= {"nonce": digest(script)[:16], "synthetic": is_synthetic(parameters.get("corpus", ""))}
    for place, (name, page) in enumerate(shown.items()):
        beside = {side: _link(names, place + step, shown) for side, step in (("before", -1), ("after", 1))}
        write_atomically(folder / f"{name}.html", rendered("notebook.html", name=name, page=page, **beside, **common))
    times = {name: about.get("seconds") for name, about in run.get("notebooks", {}).items()}
    listed = [
        {"name": name, "page": page, "number": name[:2], "learn": learnt(page), "time": duration(times.get(name) or 0)}
        for name, page in shown.items()
    ]
    files = {name: text for name, text in DOWNLOADS.items() if (run_folder / name).is_file()}
    contents = rendered("contents.html", notebooks=listed, downloads=files, glossary=GLOSSARY, **common)
    write_atomically(folder / "index.html", contents)


def learnt(page: Page) -> str:
    """What a notebook says one learns from it; empty where it does not say so."""
    words = " ".join(page.sections[0].words) if page.sections else ""
    found = re.search(r"You will learn\s*:?\s+(.*?)(?<=\.)\s", f"{words} ")
    return found[1][:1].upper() + found[1][1:] if found else ""


def _link(names: list[str], place: int, shown: dict[str, Page]) -> dict | None:
    return {"name": names[place], "title": shown[names[place]].title} if 0 <= place < len(names) else None


def _page(run_folder: Path, name: str, notebooks: tuple[str, ...]) -> Page | None:
    """The page of a notebook; None where its executed copy is gone or was damaged."""
    copy = run_folder / f"{name}.ipynb"
    try:
        return _kept(copy, run_folder / "figures", notebooks, regular(copy).stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@functools.lru_cache(maxsize=64)
def _kept(copy: Path, figures: Path, notebooks: tuple[str, ...], changed: int) -> Page:
    """The page of an executed notebook, made once: the pages of a run are renewed after each of its notebooks."""
    return page_of(copy, figures, functools.partial(leads_to, set(notebooks)))


def leads_to(notebooks: set[str], url: str) -> str:
    """Where a link of a notebook leads in the pages: to pages, within its page, or out into the web; else nowhere."""
    address, hash_, anchor = url.partition("#")
    if not address or re.match(r"https?://|mailto:", url):
        return url
    name = address.removeprefix("./").removesuffix(".ipynb")
    return f"{name}.html{hash_}{anchor}" if address.endswith(".ipynb") and name in notebooks else ""
