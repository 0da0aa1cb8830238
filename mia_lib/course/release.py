"""`course release`: from chapters to notebooks. Students get stubs, examples, hints; the instructor's copy keeps all.

Cells carry nbgrader's metadata (schema version 3), and all that is not for students stands between its marks (solutions;
hidden tests, with notes on them as comments), so that nbgrader makes of the instructor's copy the cells of the students'.
"""

import ast
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mia_lib.course.chapters import SET_UP, Chapter, Exercise, defined, find_chapters
from mia_lib.course.pages import PAGES, recounted
from mia_lib.support.errors import UsageError
from mia_lib.support.files import write_atomically

CHECK = '''\
def check(found, right):
    """Compare an answer with the right one; where they differ, both are shown."""
    alike = np.shape(found) == np.shape(right) and np.allclose(found, right, rtol=1e-5, atol=1e-8, equal_nan=True)
    assert alike, f"this gave {found}, right is {right}"
    print("right")
'''
STUB = "# YOUR CODE HERE\nraise NotImplementedError()\n"
HOW = """\
*{minutes} minutes, {exercises} exercises, {points} points. Each asks for one function of a few lines on arrays; NumPy as
`np`, `scipy.special` as `special` and `scipy.stats` as `stats` are all you need. Write it where it says `YOUR CODE HERE`, run
the cell, then run the check below it. Hints are folded: open the first, try again, then the next. When a class is graded,
your functions are called with other arguments than those you see. Whoever learns alone, and has installed the package: there
`python -m mia_lib course grade` with the folder of your notebooks does the same, and calls a usual mistake by its name.*
"""


def release(folder: Path, chapters: list[Chapter]) -> list[Path]:
    """Write `student/NN_name.ipynb` and `instructor/NN_name.ipynb` of each chapter into a folder; returns the paths.

    Raises UsageError where a file would be lost that somebody has worked on.
    """
    texts: dict[Path, str] = {}
    for side, page in PAGES.items():
        for chapter in chapters:
            notebook = made(chapter, solved=side == "instructor")
            texts[folder / side / f"{chapter.name}.ipynb"] = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        texts[folder / side / page.name] = recounted(page.read_text(encoding="utf-8"), find_chapters())
    for path, text in texts.items():
        if path.exists() and path.read_bytes() != text.encode():
            raise UsageError(f"{path} is there already and has been worked on: move it away, or name another folder")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    return list(texts)


def made(chapter: Chapter, solved: bool) -> Any:
    """The notebook of a chapter, with or without its solutions and hidden tests."""
    notebook = new_notebook(cells=list(_cells(chapter, solved)))
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.validate(notebook)
    return notebook


def _cells(chapter: Chapter, solved: bool) -> Iterator[Any]:
    number = chapter.name[:2]
    exercises = chapter.exercises
    how = HOW.format(
        minutes=sum(e.minutes for e in exercises), exercises=len(exercises), points=sum(e.points for e in exercises)
    )
    yield _cell("markdown", f"# Exercises {chapter.title}\n\n{chapter.text}\n\n{how}", f"{number}-intro")
    yield _cell("code", f"{SET_UP}\n\n{CHECK}", f"{number}-set-up")
    for position, exercise in enumerate(exercises, 1):
        yield _cell("markdown", _text(exercise, position), f"{exercise.id}-text")
        yield _cell("code", answer(exercise) if solved else stub(exercise), exercise.id, solution=True)
        tests = visible_tests(exercise) + (hidden_tests(exercise) if solved else "")
        yield _cell("code", tests, f"{exercise.id}-check", points=exercise.points)


def _cell(kind: str, source: str, name: str, solution: bool = False, points: int | None = None) -> Any:
    """A cell with nbgrader's metadata: of an answer, of a test with points, or one that students leave as it is."""
    about = {
        "schema_version": 3, "grade_id": name, "grade": points is not None, "solution": solution, "locked": not solution,
        "task": False, "cell_type": kind,
    }  # fmt: skip
    if points is not None:
        about["points"] = points
    make = new_code_cell if kind == "code" else new_markdown_cell
    metadata: dict[str, Any] = {"nbgrader": about}
    if kind == "code" and name.endswith("-set-up"):
        metadata["jupyter"] = {"source_hidden": True}
    cell = make(source.rstrip("\n"), metadata=metadata)
    cell["id"] = name[:64]
    return cell


def _text(exercise: Exercise, position: int) -> str:
    stars = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
    hints = [
        f"<details><summary>Hint {k}</summary>\n\n{hint}\n\n</details>" for k, hint in enumerate(exercise.hints, 1)
    ]
    about = f"*{exercise.minutes} minutes · difficulty {stars} · {exercise.points} point{'s' * (exercise.points > 1)}*"
    return "\n\n".join([f"## {position}. {exercise.title}", about, exercise.text, *hints])


def _head(exercise: Exercise) -> tuple[str, str]:
    """The solution up to the end of its docstring, and the rest."""
    tree = ast.parse(exercise.solution)
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == exercise.name)
    lines = exercise.solution.splitlines(keepends=True)
    end = function.body[0].end_lineno or 0
    return "".join(lines[:end]), "".join(lines[end:])


def stub(exercise: Exercise) -> str:
    """What a student starts with: signature, docstring with shapes, an example, and nothing done."""
    head, _ = _head(exercise)
    return head + textwrap.indent(STUB, "    ")


def answer(exercise: Exercise) -> str:
    """The solution between nbgrader's marks."""
    head, body = _head(exercise)
    return f"{head}    ### BEGIN SOLUTION\n{body.rstrip()}\n    ### END SOLUTION\n"


def examples(exercise: Exercise) -> Iterator[tuple[str, Any]]:
    """Lines of the examples; beside an expression its right value, beside other lines None."""
    namespace = defined(exercise.solution)
    for node in ast.parse(exercise.examples).body:
        source = ast.get_source_segment(exercise.examples, node) or ""
        if isinstance(node, ast.Expr):
            yield source, eval(source, namespace)
        else:
            exec(source, namespace)
            yield source, None


def visible_tests(exercise: Exercise) -> str:
    """The examples as checks with their right answers."""
    lines = [source if value is None else f"check({source}, {literal(value)})" for source, value in examples(exercise)]
    return "\n".join(lines) + "\n"


def literal(value: Any) -> str:
    """A value as somebody would write it, with eight digits."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    array = np.asarray(value)
    if array.ndim:
        return "[" + ", ".join(map(literal, array)) + "]"
    if array.dtype.kind in "biu":
        return str(array.item())
    number = float(array)
    return f"{number:.8g}" if np.isfinite(number) else {"nan": "np.nan", "inf": "np.inf"}.get(str(number), "-np.inf")


HIDDEN = """\
### BEGIN HIDDEN TESTS
{notes}
def _hidden(function):
    # The kernel is the student's own: all answers come first, and neither `check` nor NumPy nor a solution judges them.
    from builtins import abs, all, float, len, list, map, tuple, type, zip
    from copy import deepcopy

    nan, inf = float("nan"), float("inf")

{cases}

    def plain(value):
        value = value.tolist() if type(value).__module__ == "numpy" else value
        return [plain(one) for one in value] if type(value) in (list, tuple) else value

    def alike(one, other):
        if list in (type(one), type(other)):
            return type(one) is type(other) and len(one) == len(other) and all(map(alike, one, other))
        if type(one) not in (bool, int, float):
            return type(one) is str and one == other
        return one == other or (one != one and other != other) or abs(one - other) <= 1e-8 + 1e-5 * abs(other) < inf

    drawn = [(case[0], case[1:], deepcopy(case[1:])) for case in cases(np.random.Generator(np.random.PCG64(1)))]
    found = [plain(function(*mine)) for _, _, mine in drawn]
    right = [
{right}
    ]
    for (label, given, mine), answer, true in zip(drawn, found, right, strict=True):
        assert alike(answer, true), f"wrong where: {{label}}"
        assert alike(plain(mine), plain(given)), f"an argument is changed where: {{label}}"


_hidden({name})
### END HIDDEN TESTS
"""


def hidden_tests(exercise: Exercise) -> str:
    """The hidden cases as nbgrader runs them, between its marks: with right answers, and no solution to be called."""
    function = exercise.function(exercise.solution)
    answers = [literal(function(*arguments)) for _, arguments in exercise.hidden(_released())]
    lines = [textwrap.fill(f"{one},".replace("np.", ""), 110, break_on_hyphens=False) for one in answers]
    right, cases = (textwrap.indent(text, " " * k) for text, k in (("\n".join(lines), 8), (exercise.cases.rstrip(), 4)))
    return HIDDEN.format(notes=_notes(exercise), cases=cases, right=right, name=exercise.name)


def _released() -> np.random.Generator:
    """What draws the hidden cases of the instructor's copy."""
    return np.random.Generator(np.random.PCG64(1))


def _notes(exercise: Exercise) -> str:
    """For the instructor, as comments: what is special in the hidden cases, and the usual mistakes."""
    labels = [label for label, _ in exercise.hidden(_released())]
    mistakes = [f"- {mistake.title}: {mistake.lesson}" for mistake in exercise.mistakes]
    lines = [f"Hidden cases: {'; '.join(dict.fromkeys(labels))}.", "Usual mistakes, which the grader names:", *mistakes]
    wrap = textwrap.TextWrapper(110, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)
    return "\n".join(map(wrap.fill, lines))
