"""What a class gets: tables of verdicts, grades and totals, a page for each student, and one for the teacher."""

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mia_lib.course.chapters import Chapter
from mia_lib.course.judge import Verdict
from mia_lib.course.sandbox import WALLS
from mia_lib.course.submissions import Handed
from mia_lib.reporting.templates import rendered
from mia_lib.support.files import write_atomically
from mia_lib.support.spreadsheets import to_csv

SUMS = {
    "points": ("points", "sum"),
    "possible": ("possible", "sum"),
    "right": ("status", lambda status: int((status == "right").sum())),
    "exercises": ("status", "size"),
    "status": ("status", lambda status: ", ".join(sorted(set(status) - {"right"})) or "complete"),
}


@dataclass(frozen=True)
class Graded:
    """One file with its verdicts, one an exercise of its chapter, and the walls that stood around it."""

    handed: Handed
    chapter: Chapter
    verdicts: tuple[Verdict, ...]
    walls: tuple[str, ...] = ()


def write_gradebook(out: Path, graded: Sequence[Graded]) -> pd.DataFrame:
    """Write tables and pages; returns the grades.

    `verdicts.csv` has a row an exercise, `grades.csv` one a student and notebook, `totals.csv` one a student.
    """
    rows = [
        {
            "student": one.handed.student, "notebook": one.chapter.name, "file": one.handed.file,
            "exercise": v.exercise.name, "status": v.status, "points": v.points, "possible": v.exercise.points,
            "mistake": v.mistake, "message": v.message,
        }
        for one in graded for v in one.verdicts
    ]  # fmt: skip
    verdicts = pd.DataFrame(rows)
    grades = verdicts.groupby(["student", "notebook", "file"], sort=False).agg(**SUMS).reset_index()
    totals = verdicts.groupby("student", sort=False).agg(**SUMS).reset_index()
    write_atomically(out / "verdicts.csv", to_csv(verdicts))
    write_atomically(out / "grades.csv", to_csv(grades))
    write_atomically(out / "totals.csv", to_csv(totals))
    (out / "feedback").mkdir(exist_ok=True)
    pages: dict[str, str] = {}
    for total in totals.to_dict("records"):
        student = total["student"]
        own = [one for one in graded if one.handed.student == student]
        pages[student] = f"feedback/{_file_name(student, pages)}"
        content = dict(title=f"Feedback for {student}", graded=own, total=total, code=_code)
        write_atomically(out / pages[student], rendered("feedback.html", **content))
    shares = [
        (exercise, group, _usual(group)) for exercise, group in verdicts.groupby(["notebook", "exercise"], sort=False)
    ]
    content = dict(
        title="What the class handed in",
        totals=totals.to_dict("records"),
        grades={student: own.to_dict("records") for student, own in grades.groupby("student")},
        pages=pages,
        shares=shares,
        walls=_walls(graded),
    )
    write_atomically(out / "index.html", rendered("class.html", **content))
    return grades


def _usual(group: pd.DataFrame) -> list[tuple[str, int]]:
    """The mistakes of one exercise and how many made them, most frequent first."""
    return Counter(mistake for mistake in group["mistake"] if mistake).most_common(3)


def _walls(graded: Sequence[Graded]) -> list[str]:
    """The walls that stood around every submission that ran."""
    stood = [set(one.walls) for one in graded if one.walls]
    return [text for name, text in WALLS.items() if stood and all(name in walls for walls in stood)]


def _file_name(student: str, taken: dict[str, str]) -> str:
    """A file name for a student's page that no other has."""
    name = re.sub(r"[^\w.-]+", "-", student).strip(".-")[:60] or "student"
    used = {Path(path).stem.lower() for path in taken.values()}
    return next(f"{one}.html" for one in (name, *(f"{name}-{k}" for k in range(2, 10_000))) if one.lower() not in used)


def _code(text: str) -> str:
    """A sentence as HTML, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
