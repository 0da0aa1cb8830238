"""What is released: stubs and hints for students, everything for the instructor, with the metadata that nbgrader reads."""

import json
import re

import nbformat
import pytest

from mia_lib.cli import main
from mia_lib.course.chapters import find_chapters
from mia_lib.course.pages import PAGES, pointed, recounted
from mia_lib.course.release import literal
from mia_lib.series.contents import reading_minutes
from mia_lib.series.notebooks import find_notebooks

REGIONS = re.MULTILINE | re.DOTALL
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
"""What nbgrader puts in the place of a solution, unless it is configured otherwise."""
ALLOWED = {"schema_version", "grade_id", "grade", "solution", "locked", "task", "cell_type", "points"}
"""Of nbgrader's schema, version 3 (nbgrader/nbgraderformat/v3.py); a cell with a grade has points, no other."""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    assert main(["course", "release", str(folder), "--only", "06,13"]) == 0
    return folder


def cells(path):
    return nbformat.read(path, as_version=4).cells


def test_students_get_no_solution_and_the_instructor_all(released):
    for chapter in find_chapters("06,13"):
        student, instructor = (
            (released / side / f"{chapter.name}.ipynb").read_text(encoding="utf-8")
            for side in ("student", "instructor")
        )
        for exercise in chapter.exercises:
            last = exercise.solution.strip().splitlines()[-1].strip()
            assert json.dumps(last)[1:-1] not in student and json.dumps(last)[1:-1] in instructor
            assert f"def {exercise.name}(" in student
            assert all(json.dumps(hint, ensure_ascii=False)[1:-1] in student for hint in exercise.hints)
            assert exercise.mistakes[0].title not in student and exercise.mistakes[0].title in instructor
        assert "BEGIN HIDDEN TESTS" not in student and student.count("raise NotImplementedError") == len(
            chapter.exercises
        )


def test_cells_carry_what_nbgrader_reads(released):
    for path in released.rglob("*.ipynb"):
        about = [cell.metadata.nbgrader for cell in cells(path)]
        assert len({one.grade_id for one in about}) == len(about)
        for cell, one in zip(cells(path), about, strict=True):
            assert set(one) <= ALLOWED and one.schema_version == 3 and one.cell_type == cell.cell_type
            assert ("points" in one) == one.grade and not (one.solution and one.locked) and not one.task
        assert (
            sum(one.grade for one in about) == sum(one.solution for one in about) == len([o for o in about if o.grade])
        )


def generated(source):
    """What nbgrader's `generate_assignment` leaves of a cell's source (its ClearSolutions and ClearHiddenTests)."""
    source = re.sub(
        r"^( *)### BEGIN SOLUTION$.*?^ *### END SOLUTION$", rf"\1{STUB[0]}\n\1{STUB[1]}", source, flags=REGIONS
    )
    return re.sub(r"\n### BEGIN HIDDEN TESTS$.*?^### END HIDDEN TESTS$", "", source, flags=REGIONS)


def test_what_nbgrader_makes_of_the_instructors_copy_is_what_students_get(released):
    for chapter in find_chapters("06,13"):
        student, instructor = (cells(released / side / f"{chapter.name}.ipynb") for side in ("student", "instructor"))
        for own, full in zip(student, instructor, strict=True):
            assert (own.source, own.metadata) == (generated(full.source), full.metadata)


def test_the_instructors_copy_runs_and_a_stub_fails_its_checks(released):
    for side, fails in (("instructor", False), ("student", True)):
        namespace: dict = {}
        for cell in cells(released / side / "13_audit_your_own_model.ipynb"):
            if cell.cell_type != "code":
                continue
            if fails and cell.metadata.nbgrader.grade:
                with pytest.raises(NotImplementedError):
                    exec(cell.source, namespace)
            else:
                exec(cell.source, namespace)


def test_values_are_written_as_somebody_would():
    assert literal([1, 0.1 + 0.2, float("nan"), True]) == "[1, 0.3, np.nan, True]"


def test_work_is_not_overwritten(tmp_path, capsys):
    arguments = ["course", "release", str(tmp_path), "--only", "00"]
    assert main(arguments) == main(arguments) == 0
    own = tmp_path / "student" / "00_start_here.ipynb"
    own.write_text(
        own.read_text(encoding="utf-8").replace("raise NotImplementedError()", "return guess"), encoding="utf-8"
    )
    before = own.read_bytes()
    assert main(arguments) == 2 and own.read_bytes() == before
    assert "00_start_here.ipynb is there already and has been worked on" in capsys.readouterr().err


def test_unknown_exercises_are_refused(tmp_path, capsys):
    assert main(["course", "release", str(tmp_path), "--only", "06,77"]) == 2
    assert "no exercises for notebook 77:" in capsys.readouterr().err
    assert main(["course"]) == 2


def test_pages_count_what_there_is_and_are_released(released):
    for side, page in PAGES.items():
        text = page.read_text(encoding="utf-8")
        assert recounted(text, find_chapters()) == text, "python -m mia_lib.course.pages counts again"
        assert (released / side / page.name).read_text(encoding="utf-8") == text
        assert all(chapter.name in text or chapter.title in text for chapter in find_chapters())
    assert not (released / "student" / "teaching.md").exists()


def test_times_to_read_in_the_plans_are_about_those_of_the_notebooks():
    minutes = {notebook.name[:2]: reading_minutes(notebook) for notebook in find_notebooks()}
    plans = re.findall(r"about (\d+) minutes to read \(notebooks ([\d, ]+);", PAGES["instructor"].read_text("utf-8"))
    assert len(plans) == 8
    for told, numbers in plans:
        assert abs(int(told) - sum(minutes[number] for number in numbers.split(", "))) <= 2.5, numbers


def test_counts_follow_the_chapters():
    chapters = find_chapters("04,06")
    plan = "about 1 minutes to read (notebooks 04, 06; exercises of 1 minutes, 2 points)"
    page = f"| 04_x | goal | 9 | 9 | 9 |\n{plan}\n- 04 · old: `gone`\n"
    minutes, points = (sum(getattr(e, what) for c in chapters for e in c.exercises) for what in ("minutes", "points"))
    first, reading = chapters[0].exercises, sum(map(reading_minutes, find_notebooks()[4:7:2]))
    assert recounted(page, chapters).splitlines() == [
        f"| 04_x | goal | {len(first)} | {sum(e.minutes for e in first)} | {sum(e.points for e in first)} |",
        f"about {5 * round(reading / 5)} minutes to read (notebooks 04, 06; exercises of {minutes} minutes, {points} points)",
        f"- {chapters[0].title}: {', '.join(f'`{e.name}`' for e in first)}",
    ]


def test_every_notebook_ends_with_the_names_of_its_exercises():
    chapters = {chapter.name: chapter for chapter in find_chapters()}
    for notebook in find_notebooks():
        chapter = chapters[notebook.name]
        ends = ["".join(cell["source"]) for cell in notebook.content["cells"][-3:]]
        assert any(f"`{chapter.exercises[0].name}` (" in text for text in ends), notebook.name
        assert pointed(notebook.content, chapter) == notebook.content, "python -m mia_lib.course.pages names them"
