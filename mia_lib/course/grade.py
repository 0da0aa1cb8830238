"""`course grade`: submissions run in processes of their own, answers are judged here, and pages say what was found."""

import html
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mia_lib.course.chapters import Chapter, Exercise
from mia_lib.course.judge import Verdict, cases, judge
from mia_lib.course.sandbox import WALLS, Died, Limits, Submission
from mia_lib.course.submissions import Handed, handed_in
from mia_lib.reporting.templates import rendered
from mia_lib.support.errors import UsageError
from mia_lib.support.files import write_atomically
from mia_lib.support.limits import cores
from mia_lib.support.spreadsheets import to_csv

STARTS = 3
"""How often a submission is started at most: anew without the cell, or the exercise, that brought it to an end."""
ENDS = {
    "time": "it did not come to an end in the time it has: is there a loop that never ends?",
    "memory": "it asked for more memory than it may have.",
    "end": "its process ended: did it ask for too much memory, or call exit?",
}
BOUNDS = {"timeout": "time", "MemoryError": "memory"}
"""Faults of a call that end it, and how."""


@dataclass(frozen=True)
class Graded:
    """One file with its verdicts, one an exercise of its chapter, and the walls that stood around it."""

    handed: Handed
    chapter: Chapter
    verdicts: tuple[Verdict, ...]
    walls: tuple[str, ...] = ()


def grade_file(handed: Handed, chapter: Chapter, limits: Limits, seed: int = 0) -> Graded:
    """Run one file and judge it. Whatever it does, there is a verdict on each exercise."""
    if handed.unreadable:
        told = f"The file {handed.path.name} is no notebook: {handed.unreadable}. Save it from Jupyter and hand it in again."
        return Graded(handed, chapter, tuple(Verdict(e, "unreadable", told) for e in chapter.exercises))
    answers: dict[str, list[dict]] = {}
    ended: dict[str, Verdict] = {}
    cells, ran = list(handed.cells), False
    faults: dict[int, dict] = {}
    walls: tuple[str, ...] = ()
    for _ in range(STARTS):
        waiting = [e for e in chapter.exercises if e.name not in answers and e.name not in ended]
        with Submission(cells, limits) as process:
            asked = None
            try:
                process.run()
                ran, walls = True, tuple(process.walls)
                faults = process.faults | faults
                for asked in [e for e in waiting if e.name in process.names]:
                    answers[asked.name] = []
                    for _, arguments in cases(asked, seed):
                        answers[asked.name].append(process.call(asked.name, arguments))
                        if (fault := answers[asked.name][-1].get("error")) in BOUNDS:
                            raise Died(BOUNDS[fault])
                break
            except Died as death:
                if asked is not None:
                    answers.pop(asked.name, None)
                    ended[asked.name] = Verdict(asked, "stopped", f"{asked.name} was stopped: {ENDS[death.reason]}")
                elif process.at >= 0:
                    faults = process.faults | faults | {process.at: {"error": death.reason}}
                    cells[process.at] = ""
    verdicts = []
    for exercise in chapter.exercises:
        if exercise.name in ended:
            verdicts.append(ended[exercise.name])
        elif exercise.name in answers:
            verdicts.append(judge(exercise, answers[exercise.name], seed))
        else:
            verdicts.append(_absent(exercise, handed, faults, ran))
    return Graded(handed, chapter, tuple(verdicts), walls)


def _absent(exercise: Exercise, handed: Handed, faults: dict[int, dict], ran: bool) -> Verdict:
    """Why there is no such function."""
    writes = re.compile(rf"^\s*def\s+{exercise.name}\b", re.MULTILINE)
    own = [k for k, text in enumerate(handed.cells) if writes.search(text) or handed.ids[k] == exercise.id]
    fault = next((faults[k] for k in own if k in faults), None)
    if not own or (fault is None and ran):
        told = f"No cell defines `{exercise.name}`: was it deleted or renamed? Take it from the released notebook."
        return Verdict(exercise, "missing", told)
    if fault is None:
        return Verdict(
            exercise, "stopped", f"`{exercise.name}` could not be asked: the notebook had to be stopped {STARTS} times."
        )
    kind = str(fault["error"])
    if (reason := BOUNDS.get(kind, kind)) in ENDS:
        return Verdict(exercise, "stopped", f"The cell of {exercise.name} was stopped: {ENDS[reason]}")
    line = f" in line {fault['line']}" if fault.get("line") else ""
    return Verdict(
        exercise, "wrong", f"The cell of {exercise.name} fails{line}: {kind}: {fault.get('message', '')}.", kind
    )


def grade(
    folder: Path,
    out: Path,
    chapters: Sequence[Chapter],
    limits: Limits | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Grade a class: `grades.csv`, `verdicts.csv`, a page per student and one on all into `out`; returns the grades.

    Raises UsageError where nothing can be graded. seed: of the hidden cases; a teacher's own keeps them unknown to those who
    read this code.
    """
    if out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents:
        raise UsageError(
            f"grades cannot be written into {folder}, where the submissions are: name another folder (--to)"
        )
    known = {chapter.name[:2]: chapter for chapter in chapters}
    files = handed_in(folder)
    usable = list({(one.student, one.number): one for one in reversed(files) if one.number in known}.values())[::-1]
    if not usable:
        raise UsageError(
            f"no notebook in {folder} belongs to the exercises {', '.join(known)}: names must begin as released"
        )
    package = Path(__file__).resolve().parents[1]
    hidden = (str(package), str(folder.resolve()), str(out.resolve()))
    limits = replace(limits or Limits(), hidden=hidden)
    out.mkdir(parents=True, exist_ok=True)

    def work(one: Handed) -> Graded:
        found = grade_file(one, known[one.number], limits, seed)
        right = sum(v.status == "right" for v in found.verdicts)
        say(f"{one.student}, {one.path.name}: {right} of {len(found.verdicts)} right")
        return found

    with ThreadPoolExecutor(cores()) as pool:
        graded = list(pool.map(work, usable))
    for one in files:
        if one not in usable:
            say(
                f"{one.student}, {one.path.name}: not graded: it belongs to none of these notebooks, or another file does"
            )
    return _written(out, graded)


def _written(out: Path, graded: list[Graded]) -> pd.DataFrame:
    rows = [
        {
            "student": one.handed.student, "notebook": one.chapter.name, "file": one.handed.path.name,
            "exercise": v.exercise.name, "status": v.status, "points": v.points, "possible": v.exercise.points,
            "mistake": v.mistake, "message": v.message,
        }
        for one in graded for v in one.verdicts
    ]  # fmt: skip
    verdicts = pd.DataFrame(rows)
    grouped = verdicts.groupby(["student", "notebook", "file"], sort=False)
    grades = grouped.agg(
        points=("points", "sum"), possible=("possible", "sum"), right=("status", lambda s: int((s == "right").sum())),
        exercises=("status", "size"), status=("status", lambda s: ", ".join(sorted(set(s) - {"right"})) or "complete"),
    ).reset_index()  # fmt: skip
    write_atomically(out / "verdicts.csv", to_csv(verdicts))
    write_atomically(out / "grades.csv", to_csv(grades))
    (out / "feedback").mkdir(exist_ok=True)
    pages: dict[str, str] = {}
    for student in dict.fromkeys(one.handed.student for one in graded):
        own = [one for one in graded if one.handed.student == student]
        pages[student] = f"feedback/{_file_name(student, pages)}"
        points = int(grades.loc[grades["student"] == student, "points"].sum())
        possible = int(grades.loc[grades["student"] == student, "possible"].sum())
        content = dict(title=f"Feedback for {student}", graded=own, points=points, possible=possible, code=_code)
        write_atomically(out / pages[student], rendered("feedback.html", **content))
    shares = [
        (exercise, group, _usual(group)) for exercise, group in verdicts.groupby(["notebook", "exercise"], sort=False)
    ]
    content = dict(
        title="What the class handed in",
        grades=grades.to_dict("records"),
        pages=pages,
        shares=shares,
        walls=_walls(graded),
    )
    write_atomically(out / "index.html", rendered("class.html", **content))
    return grades


def _usual(group: pd.DataFrame) -> list[tuple[str, int]]:
    """The mistakes of one exercise and how many made them, most frequent first."""
    return Counter(mistake for mistake in group["mistake"] if mistake).most_common(3)


def _walls(graded: list[Graded]) -> list[str]:
    """The walls that stood around every submission that ran."""
    stood = [set(one.walls) for one in graded if one.walls]
    return [text for name, text in WALLS.items() if stood and all(name in walls for walls in stood)]


def _file_name(student: str, taken: dict[str, str]) -> str:
    """A file name for a student's page that no other has."""
    name = re.sub(r"[^\w.-]+", "-", student, flags=re.ASCII).strip(".-")[:60] or "student"
    used = {Path(path).stem.lower() for path in taken.values()}
    return next(f"{one}.html" for one in (name, *(f"{name}-{k}" for k in range(2, 10_000))) if one.lower() not in used)


def _code(text: str) -> str:
    """A sentence as HTML, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
