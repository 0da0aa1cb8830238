"""What is released: stubs and hints for students, everything for the instructor, with the metadata that nbgrader reads."""

import json

import nbformat
import pytest

from mia_lib.cli import main
from mia_lib.course.chapters import find_chapters
from mia_lib.course.release import literal

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


def test_pages_for_students_and_teachers_count_what_there_is(released):
    chapters = find_chapters()
    teaching = (released / "instructor" / "teaching.md").read_text(encoding="utf-8")
    take_away = (released / "student" / "take_away.md").read_text(encoding="utf-8")
    for chapter in chapters:
        minutes, points = (sum(getattr(e, what) for e in chapter.exercises) for what in ("minutes", "points"))
        assert (
            f"| {len(chapter.exercises)} | {minutes} | {points} |" in teaching and f"- {chapter.title}: `" in take_away
        )
    every = sum(e.minutes for chapter in chapters for e in chapter.exercises)
    assert f"exercises of {every} minutes" in teaching
    assert not {"{{", "{%"} & set(teaching.split()) and "teaching" not in "".join(
        p.name for p in (released / "student").iterdir()
    )
