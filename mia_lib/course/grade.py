"""`course grade`: submissions run in processes of their own, and answers are judged here."""

import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mia_lib.course.chapters import Chapter, Exercise
from mia_lib.course.gradebook import Graded, write_gradebook
from mia_lib.course.judge import Verdict, cases, in_words, judge
from mia_lib.course.sandbox import Died, Limits, Submission
from mia_lib.course.submissions import Handed, handed_in, students
from mia_lib.support.errors import UsageError
from mia_lib.support.limits import cores

STARTS = 3
"""How often a submission is started at most: anew without the cell, or the exercise, that brought it to an end."""
ENDS = {
    "time": "it did not come to an end in the time it has: is there a loop that never ends?",
    "memory": "it asked for more memory than it may have.",
    "end": "its process ended: did it ask for too much memory, or call exit?",
}
SHOWN = 5  # files that are named in one line
BOUNDS = {"timeout": "time", "MemoryError": "memory"}
"""Faults of a call that end it, and how."""


def grade_file(handed: Handed, chapter: Chapter, limits: Limits, seed: int = 0) -> Graded:
    """Run one file and judge it. Whatever it does, there is a verdict on each exercise."""
    if not handed.file:
        told = f"Nothing was handed in for {chapter.name}."
        return Graded(handed, chapter, tuple(Verdict(e, "missing", told) for e in chapter.exercises))
    if handed.unreadable:
        told = f"The file {handed.file} is no notebook: {handed.unreadable}. Save it from Jupyter and hand it in again."
        return Graded(handed, chapter, tuple(Verdict(e, "unreadable", told) for e in chapter.exercises))
    answers: dict[str, list[dict]] = {}
    ended: dict[str, Verdict] = {}
    cells, ran = list(handed.cells), False
    faults: dict[int, dict] = {}
    walls: tuple[str, ...] = ()
    for _ in range(STARTS):
        waiting = [e for e in chapter.exercises if e.name not in answers and e.name not in ended]
        with Submission(cells, [e.name for e in waiting], limits) as process:
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
            verdicts.append(_explained(_judged(exercise, answers[exercise.name], seed), handed, faults))
        else:
            verdicts.append(_absent(exercise, handed, faults, ran))
    return Graded(handed, chapter, tuple(verdicts), walls)


def _judged(exercise: Exercise, answers: list[dict], seed: int) -> Verdict:
    """The verdict; a fault of the judge's own costs nobody else theirs."""
    try:
        return judge(exercise, answers, seed)
    except Exception as error:
        told = (
            f"The answers of {exercise.name} could not be judged ({type(error).__name__}): show this to your teacher."
        )
        return Verdict(exercise, "stopped", told, "not judged")


def _explained(verdict: Verdict, handed: Handed, faults: dict[int, dict]) -> Verdict:
    """Where something is not defined because its cell failed: which, and why."""
    if verdict.mistake != "NameError" or not faults:
        return verdict
    names = re.findall(r"name '(\w+)' is not defined", verdict.message)
    makes = re.compile(rf"\b{names[0]}\b" if names else "$^")
    cell = next((k for k in sorted(faults) if makes.search(handed.cells[k])), min(faults))
    first = next((line.strip() for line in handed.cells[cell].splitlines() if line.strip()), "")
    line = f" in line {faults[cell]['line']}" if faults[cell].get("line") else ""
    return replace(
        verdict,
        message=f"{verdict.message} The cell that begins with `{first[:80]}` fails{line}: {in_words(faults[cell])}.",
    )


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
    return Verdict(exercise, "wrong", f"The cell of {exercise.name} fails{line}: {in_words(fault)}.", kind)


def grade(
    folder: Path,
    out: Path,
    chapters: Sequence[Chapter],
    limits: Limits | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Grade a class and write its gradebook into `out`; returns the grades, a row for each student and notebook.

    A notebook that somebody handed in is expected of everybody. Raises UsageError where nothing can be graded. seed: of the
    hidden cases; a teacher's own keeps them unknown to those who read this code.
    """
    if out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents:
        raise UsageError(
            f"grades cannot be written into {folder}, where the submissions are: name another folder (--to)"
        )
    known = {chapter.name[:2]: chapter for chapter in chapters}
    files = handed_in(folder)
    usable = {(one.student, one.number): one for one in reversed(files) if one.number in known}
    if not usable:
        raise UsageError(
            f"no notebook in {folder} belongs to the exercises {', '.join(known)}: names must begin as released"
        )
    limits = replace(limits or Limits(), hidden=(*_packages(), str(folder.resolve()), str(out.resolve())))
    out.mkdir(parents=True, exist_ok=True)

    def work(one: Handed) -> Graded:
        found = grade_file(one, known[one.number], limits, seed)
        right = sum(v.status == "right" for v in found.verdicts)
        say(f"{one.student}, {one.file or known[one.number].name}: {right} of {len(found.verdicts)} right")
        return found

    everybody = sorted({*students(folder), *(student for student, _ in usable)})
    wanted = [(student, number) for student in everybody for number in known if any(n == number for _, n in usable)]
    with ThreadPoolExecutor(cores()) as pool:
        graded = list(pool.map(work, [usable.get(key) or Handed(key[0], Path(), key[1]) for key in wanted]))
    for one in files:
        if one.number in known and usable.get((one.student, one.number)) is not one:
            say(
                f"{one.student}, {one.file}: not graded: another file of theirs is, {usable[one.student, one.number].file}"
            )
    if rest := [f"{one.student}, {one.file}" for one in files if one.number not in known]:
        more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
        say(f"Not graded, as they belong to none of these notebooks: {'; '.join(rest[:SHOWN])}{more}")
    return write_gradebook(out, graded)


def _packages() -> set[str]:
    """Every copy of this package that a submission could import: with it come the solutions."""
    own = Path(__file__).resolve().parents[1]
    return {str(path) for place in sys.path if (path := Path(place, own.name).resolve()).is_dir()} | {str(own)}
