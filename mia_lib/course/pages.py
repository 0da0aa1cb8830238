"""What pages and notebooks say of the exercises is counted: `python -m mia_lib.course.pages` renews it all, a test watches.

Counted are, in `teaching.md` and `take_away.md`, the rows of the table of goals, the sums of a plan, what it takes to
read, and the list of a chapter's exercises; and in each notebook of the series the paragraph below `## Exercises`.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from mia_lib.course.chapters import Chapter, Exercise, find_chapters
from mia_lib.series.contents import reading_minutes
from mia_lib.series.notebooks import NOTEBOOKS, find_notebooks
from mia_lib.support.files import write_atomically

PAGES = {"student": Path(__file__).with_name("take_away.md"), "instructor": Path(__file__).with_name("teaching.md")}
"""Who gets which page."""
GOAL = re.compile(r"^(\| (\d\d)_\w+ \| [^|]+ \|).*$", re.MULTILINE)
PLAN = re.compile(r"about \d+ minutes to read \(notebooks ([\d, ]+); .*? points\)")
LIST = re.compile(r"^- (\d\d) · .*$", re.MULTILINE)
POINTER = re.compile(r"(## Exercises\n\n).*?(?=^1\. )", re.MULTILINE | re.DOTALL)


def recounted(text: str, chapters: Iterable[Chapter]) -> str:
    """A page of Markdown with its counts of exercises, minutes and points as they are in some chapters, and what the
    notebooks of the series take to read, to five minutes."""
    known = {chapter.name[:2]: chapter for chapter in chapters}
    reading = {f"{notebook.number:02}": reading_minutes(notebook) for notebook in find_notebooks()}

    def goal(found: re.Match) -> str:
        exercises = known[found[2]].exercises
        return f"{found[1]} {len(exercises)} | {_sum(exercises, 'minutes')} | {_sum(exercises, 'points')} |"

    def plan(found: re.Match) -> str:
        numbers = found[1].split(", ")
        every = [e for number in numbers for e in known[number].exercises]
        minutes = 5 * round(sum(reading[number] for number in numbers) / 5)
        sums = f"exercises of {_sum(every, 'minutes')} minutes, {_sum(every, 'points')} points"
        return f"about {minutes} minutes to read (notebooks {found[1]}; {sums})"

    def names(found: re.Match) -> str:
        chapter = known[found[1]]
        return f"- {chapter.title}: {', '.join(f'`{e.name}`' for e in chapter.exercises)}"

    return LIST.sub(names, PLAN.sub(plan, GOAL.sub(goal, text)))


def _sum(exercises: Iterable[Exercise], what: str) -> int:
    return sum(getattr(exercise, what) for exercise in exercises)


def pointed(content: dict, chapter: Chapter) -> dict:
    """A notebook of the series whose end names the exercises of its chapter; a new dictionary."""
    content = json.loads(json.dumps(content))
    names = ", ".join(f"`{e.name}` ({e.minutes} minutes)" for e in chapter.exercises)
    pointer = (
        f"*To code, with hints and checks:* {names}. `python -m mia_lib course release exercises` writes them into "
        f"`exercises/student/{chapter.name}.ipynb`.\n\n*To try here and to talk about:*\n\n"
    )
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            text = POINTER.sub(lambda found: found[1] + pointer, "".join(cell["source"]))
            cell["source"] = text.splitlines(keepends=True)
    return content


def main(folder: Path = NOTEBOOKS) -> None:
    """Renew the pages, and the ends of all notebooks of a folder."""
    chapters = {chapter.name: chapter for chapter in find_chapters()}
    for path in PAGES.values():
        write_atomically(path, recounted(path.read_text(encoding="utf-8"), chapters.values()))
    for notebook in find_notebooks(folder):
        if notebook.name in chapters:
            content = pointed(notebook.content, chapters[notebook.name])
            write_atomically(notebook.path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
