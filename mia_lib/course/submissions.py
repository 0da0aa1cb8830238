"""What a class handed in: which student, which chapter, which code; whatever is in a file, reading it does no harm."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mia_lib.support.errors import UsageError

NUMBERED = re.compile(r"(\d\d)_")
NOTEBOOK = ".ipynb"
EXPORTS = (".py", ".html", ".pdf", ".zip")
"""What else a notebook is saved as, and handed in by mistake."""
LARGEST = 20 * 2**20
"""Bytes of a notebook; those of the course are a thousandth of it."""


@dataclass(frozen=True)
class Handed:
    """One file: its student, its chapter's number, its name, its code cells and their grade ids; or why it cannot be read."""

    student: str
    path: Path
    number: str
    file: str = ""
    cells: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    unreadable: str = ""


def handed_in(folder: Path) -> list[Handed]:
    """The notebooks of a class: `STUDENT/…/NN_name.ipynb`, or a file `STUDENT.ipynb` each. Links are not followed.

    Notebooks `NN_name.ipynb` in the folder itself are those of one person, who has the name of the folder. Of several files
    of a student for one chapter, the one with the shortest name comes first: copies have longer ones.

    Raises UsageError where the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: it must hold a folder of notebooks per student")
    found = [_read(student, path) for student, path in sorted(_files(folder), key=_order)]
    if not found:
        raise UsageError(f"{folder} holds no notebook: a student's are expected as STUDENT/NN_name.ipynb")
    return found


def students(folder: Path) -> list[str]:
    """Whoever has a folder, with or without notebooks in it; `__MACOSX` and what is hidden is nobody."""
    own = (e for e in folder.iterdir() if e.is_dir() and not e.is_symlink() and not e.name.startswith((".", "__")))
    return sorted(named(entry.name) for entry in own)


def named(name: str) -> str:
    """A name of a file as text that can be written anywhere, in the one form in which it equals itself."""
    return unicodedata.normalize("NFC", name.encode(errors="replace").decode())


def _order(one: tuple[str, Path]) -> tuple:
    student, path = one
    return student, path.name[:2], path.suffix != NOTEBOOK, len(path.name), str(path)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() or entry.name.startswith("."):
            continue
        if entry.is_file() and entry.suffix == NOTEBOOK:
            yield named(folder.resolve().name if NUMBERED.match(entry.name) else entry.stem), entry
        elif entry.is_dir():
            wanted = (
                p for p in entry.rglob("*") if p.suffix == NOTEBOOK or (p.suffix in EXPORTS and NUMBERED.match(p.name))
            )
            for path in sorted(wanted):
                inside = path.relative_to(entry).parts
                links = any(entry.joinpath(*inside[: k + 1]).is_symlink() for k in range(len(inside)))
                if path.is_file() and not links and not any(part.startswith(".") for part in inside):
                    yield named(entry.name), path


def _read(student: str, path: Path) -> Handed:
    """One file as it is."""
    numbered, file = NUMBERED.match(path.name), named(path.name)
    number = numbered[1] if numbered else ""
    if path.suffix != NOTEBOOK:
        return Handed(student, path, number, file, unreadable=f"its name does not end in {NOTEBOOK}")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST // 2**20} MB")
        cells = json.loads(path.read_bytes().decode("utf-8-sig"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        sources = tuple("".join(cell["source"]) for cell in code)
        about = [cell.get("metadata", {}).get("nbgrader", {}) for cell in code]
        ids = tuple(str(one.get("grade_id", "")) for one in about)
        kept = tuple(
            "" if one.get("grade") and one.get("locked") else text for one, text in zip(about, sources, strict=True)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = str(error) if isinstance(error, OSError | ValueError) else "it has no cells as a notebook has them"
        return Handed(student, path, number, file, unreadable=why)
    known = [one[:2] for one in ids if re.match(r"\d\d-", one)]
    return Handed(student, path, number or (known[0] if known else ""), file, kept, ids)
