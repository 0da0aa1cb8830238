"""Chapters of exercises: one Markdown file a notebook, `exercises/NN_name.md`, from which everything else is made.

A chapter is a title, a text, and its exercises. An exercise is a heading `## name: title`, a line
`*15 minutes, difficulty 2 of 3*`, a text, and these parts, each under a heading of three hashes:

    ### Solution          one function with its docstring: shapes, units
    ### Examples          lines of Python; each expression is a visible test, its answer is computed
    ### Hidden cases      a function `cases(rng)` that yields (what is special, *arguments)
    ### Hints             a numbered list of three, from a nudge to nearly the answer
    ### Usual mistakes    for each a heading of four hashes, the function with the mistake, and what it teaches
    ### Also right        other functions that must pass
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mia_lib.support.errors import MiaError, UsageError

FOLDER = Path(__file__).parent / "exercises"
SET_UP = "import numpy as np\nfrom scipy import special, stats\n"
"""What every exercise may use."""
FENCE = re.compile(r"^```python\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Mistake:
    """A usual wrong answer: what is wrong with it in a few words, its code, and what it teaches."""

    title: str
    code: str
    lesson: str


@dataclass(frozen=True)
class Exercise:
    """One function to write. `examples` and `cases` are code, `hints` go from a nudge to nearly the answer."""

    chapter: str
    name: str
    title: str
    text: str
    minutes: int
    difficulty: int
    solution: str
    examples: str
    cases: str
    hints: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    also_right: tuple[str, ...]

    @property
    def points(self) -> int:
        """As many as it is difficult."""
        return self.difficulty

    @property
    def id(self) -> str:
        """Such as `06-phi`: unique in the course."""
        return f"{self.chapter[:2]}-{self.name.replace('_', '-')}"

    def function(self, code: str) -> Callable:
        """The exercise's function as some code of the course defines it."""
        return defined(code)[self.name]

    def hidden(self, rng: Any) -> Iterator[tuple[str, tuple]]:
        """Hidden cases: what is special about each, and its arguments."""
        for label, *arguments in defined(self.cases)["cases"](rng):
            yield label, tuple(arguments)


@dataclass(frozen=True)
class Chapter:
    """The exercises of one notebook; `name` is that of the notebook."""

    name: str
    title: str
    text: str
    exercises: tuple[Exercise, ...]


def defined(code: str) -> dict[str, Any]:
    """The names that some code of the course defines; it runs where `np`, `special` and `stats` are known."""
    namespace: dict[str, Any] = {}
    exec(SET_UP + code, namespace)
    return namespace


def find_chapters(only: str | None = None, folder: Path = FOLDER) -> list[Chapter]:
    """The chapters in order, or those with the numbers that `only` lists, as in `04,07`; UsageError for unknown ones."""
    paths = {path.name[:2]: path for path in sorted(folder.glob("[0-9][0-9]_*.md"))}
    wanted = list(paths) if only is None else [word.strip() for word in only.split(",") if word.strip()]
    unknown = [number for number in wanted if number not in paths]
    if unknown or not wanted:
        raise UsageError(f"no exercises for notebook {', '.join(unknown) or repr(only)}: there are {', '.join(paths)}")
    return [read_chapter(paths[number]) for number in sorted(set(wanted))]


def read_chapter(path: Path) -> Chapter:
    """One chapter; raises MiaError that names the file and the exercise where a part is missing or wrong."""
    head, parts = _sections(path.read_text(encoding="utf-8"), 2)
    title, _, text = head.strip().partition("\n")
    if not title.startswith("# "):
        raise MiaError(f"{path.name}: the first line must be the chapter's title, `# …`")
    exercises = tuple(_exercise(path, heading, body) for heading, body in parts)
    return Chapter(path.stem, title.removeprefix("# "), text.strip(), exercises)


def _sections(text: str, level: int) -> tuple[str, list[tuple[str, str]]]:
    """What stands before the first heading of a level, and (heading, body) of each; code is left alone."""
    head: list[str] = []
    parts: list[tuple[str, list[str]]] = []
    code = False
    for line in text.splitlines(keepends=True):
        code ^= line.startswith("```")
        if not code and line.startswith("#" * level + " "):
            parts.append((line[level + 1 :].strip(), []))
        else:
            (parts[-1][1] if parts else head).append(line)
    return "".join(head), [(heading, "".join(body)) for heading, body in parts]


def _exercise(path: Path, heading: str, body: str) -> Exercise:
    def wrong(what: str) -> MiaError:
        return MiaError(f"{path.name}, exercise {heading!r}: {what}")

    name, colon, title = heading.partition(": ")
    if not colon or not name.isidentifier():
        raise wrong("the heading must be `## name_of_the_function: title`")
    head, found = _sections(body, 3)
    parts = dict(found)
    about = re.match(r"\s*\*(\d+) minutes, difficulty ([123]) of 3\*\n", head)
    if about is None:
        raise wrong("a line such as `*15 minutes, difficulty 2 of 3*` must follow the heading")
    names = ("Solution", "Examples", "Hidden cases", "Hints", "Usual mistakes", "Also right")
    if tuple(parts) != names:
        raise wrong(f"its parts must be {', '.join(names)}, in this order, not {', '.join(parts)}")
    codes = {part: FENCE.findall(text) for part, text in parts.items()}
    for part in names[:3]:
        if len(codes[part]) != 1:
            raise wrong(f"{part} must hold one block of Python, not {len(codes[part])}")
    hints = tuple(re.findall(r"^\d\. (.*?)\s*(?=^\d\. |\Z)", parts["Hints"], re.MULTILINE | re.DOTALL))
    if len(hints) != 3:
        raise wrong(f"there must be three hints, numbered 1. to 3., not {len(hints)}")
    mistakes = []
    for fault, text in _sections(parts["Usual mistakes"], 4)[1]:
        blocks, lesson = FENCE.findall(text), FENCE.sub("", text).strip()
        if len(blocks) != 1 or not lesson:
            raise wrong(f"the mistake {fault!r} needs one block of Python and a sentence that it teaches")
        mistakes.append(Mistake(fault, blocks[0], lesson))
    for code in [*codes["Solution"], *(m.code for m in mistakes), *codes["Also right"]]:
        if name not in _functions(code):
            raise wrong(f"every solution, mistake and other right answer must define `{name}`")
    solution, examples, cases = (codes[part][0] for part in names[:3])
    text, minutes, difficulty = head[about.end() :].strip(), int(about[1]), int(about[2])
    return Exercise(
        path.stem, name, title, text, minutes, difficulty, solution, examples, cases, hints, tuple(mistakes),
        tuple(codes["Also right"]),
    )  # fmt: skip


def _functions(code: str) -> list[str]:
    try:
        return [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError:
        return []
