"""Thirty submissions get the grade they deserve, each with its page, and none of them harms the grader."""

import html
import queue
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from class_of_thirty import CHAPTER, FIRST, NAME, SECOND, write_class

from mia_lib.course import grade as grading
from mia_lib.course import sandbox
from mia_lib.course.chapters import FENCE, find_chapters
from mia_lib.course.confinement import readable
from mia_lib.course.frames import BadFrame, pack, read_frame, unpacked
from mia_lib.course.grade import grade
from mia_lib.course.gradebook import Graded
from mia_lib.course.judge import Verdict, cases, judge
from mia_lib.course.pages import PAGES
from mia_lib.course.release import release
from mia_lib.course.sandbox import WALLS, Died, Limits, Submission, missing_walls
from mia_lib.course.submissions import Handed, handed_in, students
from mia_lib.support.errors import UsageError

LIMITS = Limits(seconds=0.5, total=12.0, memory=2**30)
walled = pytest.mark.skipif(bool(missing_walls()), reason="; ".join(missing_walls()))


@walled
def test_a_class_of_thirty_is_graded_right(tmp_path):
    outside = tmp_path / "outside"
    expected = write_class(tmp_path / "class", outside)
    assert len(expected) >= 30
    (tmp_path / "class" / "a link").symlink_to(tmp_path / "class" / "right 0")
    grades = grade(tmp_path / "class", tmp_path / "graded", [CHAPTER], LIMITS)
    verdicts = pd.read_csv(tmp_path / "graded" / "verdicts.csv").set_index(["exercise", "student"])
    first, second = (verdicts.loc[exercise.name] for exercise in (FIRST, SECOND))
    assert first["status"].to_dict() == expected
    assert set(second.index[second["status"] != "right"]) == {
        "no JSON",
        "no notebook",
        "cell deleted",
        "nothing handed in",
    }
    assert not outside.exists()
    for k, mistake in enumerate(FIRST.mistakes):
        assert (
            first.loc[f"wrong {k}", "mistake"] == mistake.title and first.loc[f"wrong {k}", "message"] == mistake.lesson
        )
    points = grades.set_index("student")["points"]
    assert points["right 0"] == 2 and points["wrong 0"] == 1 and points["no JSON"] == points["nothing handed in"] == 0
    assert set(grades["possible"]) == {2}
    assert first.loc["reads the tests", "message"].count("PermissionError") == 1
    pages = {path.name for path in (tmp_path / "graded" / "feedback").iterdir()}
    assert len(pages) == len(expected)
    page = (tmp_path / "graded" / "feedback" / "wrong-0.html").read_text(encoding="utf-8")
    assert html.escape(FIRST.mistakes[0].lesson) in page and "1 of 2 points" in page
    overview = (tmp_path / "graded" / "index.html").read_text(encoding="utf-8")
    assert all(html.escape(wall) in overview.replace("&#39;", "&#x27;") for wall in WALLS.values())
    assert "PermissionError (" in overview


def heard(*messages):
    """A submission without a process, which says what it is told to."""
    submission = Submission(["pass"], [FIRST.name], LIMITS)
    submission._say, submission._end = lambda message: None, float("inf")
    submission._answers = queue.Queue()
    for message in ({"walls": []}, *messages):
        submission._answers.put(unpacked(pack(message)[4:]))
    return submission


@pytest.mark.parametrize(
    "forged", [{"names": 5}, {"cell": 10**30}, {"cell": -1}, {"cell": [0]}, {"cell": None, "error": "x"}, {}, [1], 7]
)
def test_a_message_that_no_worker_says_ends_a_submission(forged):
    with pytest.raises(Died):
        heard(forged, {"names": [FIRST.name]}).run()
    submission = heard({"names": [FIRST.name]}, forged)
    submission.run()
    if forged == {"cell": None, "error": "x"}:
        assert submission.call(FIRST.name, ()) == {"error": "x", "message": "", "line": 0}
    else:
        with pytest.raises(Died):
            submission.call(FIRST.name, ())


def test_whatever_a_submission_answers_it_is_judged_and_can_be_written():
    odd = [10**400, chr(0xD800), float("nan"), [[1], [1, 2]], None, {"a": 1}, "x" * 999]
    for value in odd:
        submission = heard({"names": [FIRST.name]}, *[{"value": value, "changed": "?"}] * len(cases(FIRST, 0)))
        submission.run()
        found = judge(FIRST, [submission.call(FIRST.name, ()) for _ in cases(FIRST, 0)])
        assert found.status == "wrong" and found.message.encode()
    told = heard({"names": []}, {"error": ["x"], "message": {"a": chr(0xD800)}, "line": "12"})
    told.run()
    fault = told.call(FIRST.name, ())
    assert fault["error"].encode() and fault["message"].encode() and fault["line"] == 0


@walled
def test_the_solution_notebooks_run_end_to_end_and_are_graded_right(tmp_path):
    release(tmp_path, find_chapters())
    grades = grade(tmp_path / "instructor", tmp_path / "graded", find_chapters())
    assert set(grades["student"]) == {"instructor"} and len(grades) == len(find_chapters())
    assert (grades["points"] == grades["possible"]).all() and set(grades["status"]) == {"complete"}
    totals = pd.read_csv(tmp_path / "graded" / "totals.csv")
    assert totals["right"].tolist() == [sum(len(chapter.exercises) for chapter in find_chapters())]


def test_a_notebook_that_nobody_handed_in_is_expected_of_nobody_and_copies_do_not_count(tmp_path, monkeypatch):
    def judged(handed, chapter, limits, seed):
        status = "right" if handed.file == f"{chapter.name}.ipynb" else "missing"
        return Graded(handed, chapter, tuple(Verdict(e, status, "") for e in chapter.exercises))

    monkeypatch.setattr(grading, "grade_file", judged)
    chapters = find_chapters("00,04,06")
    for student, names in {"Ada": (0, 1), "Zoe\u0308": (0,), "nobody": ()}.items():
        (tmp_path / "class" / student).mkdir(parents=True)
        for k in names:
            for name in (f"{chapters[k].name} (1)", chapters[k].name):
                (tmp_path / "class" / student / f"{name}.ipynb").write_text('{"cells": []}')
    (tmp_path / "class" / "__MACOSX").mkdir()
    said: list[str] = []
    grades = grade(tmp_path / "class", tmp_path / "graded", chapters, say=said.append)
    found = {(row.student, row.notebook[:2]): row.points for row in grades.itertuples()}
    assert found == {("Ada", "00"): 2, ("Ada", "04"): 5, ("Zoë", "00"): 2, ("Zoë", "04"): 0} | {
        ("nobody", "00"): 0, ("nobody", "04"): 0}  # fmt: skip
    assert sum("(1).ipynb: not graded" in line for line in said) == 3
    assert (tmp_path / "graded" / "feedback" / "Zoë.html").is_file()
    totals = pd.read_csv(tmp_path / "graded" / "totals.csv").set_index("student")
    assert totals["possible"].to_dict() == {"Ada": 7, "Zoë": 7, "nobody": 7}


def test_who_saved_something_else_than_a_notebook_is_told_and_other_notebooks_are_counted_in_one_line(
    tmp_path, monkeypatch
):
    for name in ("Ada/00_start_here.py", "Bob/00_start_here.ipynb", *(f"Bob/{n:02}_x.ipynb" for n in range(1, 9))):
        (tmp_path / "class" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "class" / name).write_text('{"cells": []}')
    said: list[str] = []
    grade(tmp_path / "class", tmp_path / "graded", [CHAPTER], LIMITS, say=said.append)
    page = (tmp_path / "graded" / "feedback" / "Ada.html").read_text(encoding="utf-8")
    assert "The file 00_start_here.py is no notebook: its name does not end in .ipynb" in html.unescape(page)
    (rest,) = [line for line in said if "ot graded" in line]
    assert (
        rest.startswith("Not graded, as they belong to none of these notebooks: Bob, 01_x.ipynb;")
        and "and 3 more" in rest
    )


def test_a_name_that_is_missing_since_its_cell_failed_is_explained(tmp_path):
    cells = (
        "open('/etc/passwd')\n\ndef helper(x):\n    return x",
        FIRST.solution.replace("return ", "return helper(0) or "),
    )
    handed = Handed("Ada", tmp_path, "00", NAME, cells, ("", FIRST.id))
    (verdict, _) = grading.grade_file(handed, CHAPTER, LIMITS).verdicts
    assert "name 'helper' is not defined" in verdict.message
    assert "The cell that begins with `open('/etc/passwd')` fails in line 1: PermissionError" in verdict.message


def test_a_fault_of_the_judge_costs_nobody_their_other_grades(tmp_path, monkeypatch):
    def faulty(exercise, answers, seed):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(grading, "judge", faulty)
    handed = Handed("Ada", tmp_path, "00", NAME, (FIRST.solution,), (FIRST.id,))
    first, second = grading.grade_file(handed, CHAPTER, LIMITS).verdicts
    assert (first.status, second.status) == (
        "stopped",
        "missing",
    ) and "could not be judged (ValueError)" in first.message


def test_folders_are_renamed_as_the_page_for_teachers_shows(tmp_path, monkeypatch):
    (tmp_path / "class" / "Ada Lovelace_17_file").mkdir(parents=True)
    (tmp_path / "names.csv").write_text("Ada Lovelace_17_file,heron\n", encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path / "class")
    exec(FENCE.search(PAGES["instructor"].read_text(encoding="utf-8"))[1], {})
    assert students(tmp_path / "class") == ["heron"]


def test_of_files_in_one_folder_each_is_a_student_and_of_several_attempts_one_is_graded(tmp_path):
    for name in (
        "Ada_00_start_here",
        "Zoe_00_start_here",
        "Bob/attempt 1/00_start_here",
        "Bob/attempt 2/00_start_here",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.ipynb").write_text('{"cells": []}')
    found = [(one.student, one.path.parent.name) for one in handed_in(tmp_path)]
    here = tmp_path.name
    assert found == [
        ("Ada_00_start_here", here),
        ("Bob", "attempt 1"),
        ("Bob", "attempt 2"),
        ("Zoe_00_start_here", here),
    ]


def test_every_copy_of_the_package_is_hidden(tmp_path, monkeypatch):
    (tmp_path / "site-packages" / "mia_lib").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site-packages")])
    assert str(tmp_path / "site-packages" / "mia_lib") in grading._packages()


def test_without_the_kernels_walls_python_itself_refuses(tmp_path, monkeypatch):
    code = f"""
from mia_lib.course import confinement
confinement.landlock, confinement.seccomp = lambda paths: False, lambda: False
print(confinement.confine([{str(tmp_path)!r}], 4 * 2**30, 20))
import scipy.stats
for tried in ("open({str(tmp_path / "x")!r}, 'w')", "open({str(tmp_path / "secret")!r})", "__import__('os').fork()",
              "__import__('socket').create_connection(('127.0.0.1', 9))", "__import__('os').kill(1, 0)",
              "__import__('ctypes').CDLL('libm.so.6')", "__import__('os').listdir({str(tmp_path)!r})"):
    try:
        eval(tried)
        print("done", tried)
    except PermissionError:
        print("refused")
"""
    (tmp_path / "secret").write_text("answers")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["['limits', 'hook']"] + ["refused"] * 7, done.stderr


def test_a_submission_is_graded_where_no_namespaces_are_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "namespaces", lambda: ())
    (tmp_path / "class" / "Ada").mkdir(parents=True)
    (tmp_path / "class" / "Ada" / NAME).write_text('{"cells": [{"cell_type": "code", "source": "def share_right(g, h):\\n'
                                                   '    return (g[h].mean() + 1 - g[~h].mean()) / 2"}]}')  # fmt: skip
    grades = grade(tmp_path / "class", tmp_path / "graded", [CHAPTER], LIMITS)
    assert grades["points"].tolist() == [1]
    assert "no network" not in (tmp_path / "graded" / "index.html").read_text(encoding="utf-8")


def test_what_is_hidden_is_left_out_of_what_may_be_read(tmp_path, monkeypatch):
    for name in ("numpy", "mia_lib"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    found = readable([str(tmp_path / "mia_lib" / "course")])
    assert str(tmp_path / "numpy") in found and str(tmp_path) not in found
    assert not any(path.startswith(str(tmp_path / "mia_lib")) for path in found)


def test_a_repository_is_not_readable_but_for_its_environment(tmp_path, monkeypatch):
    project, packages = tmp_path / "project", tmp_path / "project" / ".venv" / "lib"
    for folder in (project / "mia_lib", project / ".git", packages, tmp_path / "other"):
        folder.mkdir(parents=True)
    for path, allowed in (([project, packages], [packages]), ([tmp_path], [tmp_path / "other"])):
        monkeypatch.setattr(sys, "path", [str(one) for one in path])
        found = [one for one in readable([str(project / "mia_lib")], project) if one.startswith(str(tmp_path))]
        assert found == [str(one) for one in allowed]


def test_a_frame_brings_back_what_was_sent_and_nothing_else():
    sent = {
        "a": [1, 2.5, None, "x", (True, np.arange(6).reshape(2, 3))],
        "b": np.array(["ä", "b"]),
        "c": np.zeros((0, 3)),
    }
    stream = [pack(sent)]

    def read(count):
        stream[0], found = stream[0][count:], stream[0][:count]
        return found

    found = read_frame(read)
    assert found["a"][:4] == [1, 2.5, None, "x"] and found["a"][4][0] is True
    assert np.array_equal(found["a"][4][1], np.arange(6).reshape(2, 3)) and found["b"].tolist() == ["ä", "b"]
    assert found["c"].shape == (0, 3)
    with pytest.raises(EOFError):
        read_frame(read)
    for value in (object(), np.array([object()]), 1j, [np.zeros(10**8, np.int8)]):
        with pytest.raises(BadFrame):
            pack(value)


@pytest.mark.parametrize(
    "head",
    [
        b"{",
        b"[]",
        b'{"tree": {"array": 0}, "arrays": [["<f8", [1000000000000]]]}',
        b'{"tree": {"array": 0}, "arrays": [["|O", [1]]]}',
        b'{"tree": {"array": 0}, "arrays": [["<f8", [-1]]]}',
        b'{"tree": {"array": 3}, "arrays": []}',
        b'{"tree": [1], "arrays": []}',
        b'{"tree": {"map": 1}, "arrays": []}',
        b'{"tree": ' + b'{"list": [' * 5000 + b"]}" * 5000 + b', "arrays": []}',
    ],
)
def test_a_forged_frame_is_refused(head):
    with pytest.raises(BadFrame):
        unpacked(len(head).to_bytes(4, "little") + head)


def test_a_folder_without_notebooks_is_said_to_be_one(tmp_path):
    with pytest.raises(UsageError, match="is no folder"):
        grade(tmp_path / "none", tmp_path / "out", [CHAPTER])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="where the submissions are"):
        grade(tmp_path / "empty", tmp_path / "empty" / "graded", [CHAPTER])
    with pytest.raises(UsageError, match="holds no notebook"):
        grade(tmp_path / "empty", tmp_path / "out", [CHAPTER])
    (tmp_path / "empty" / "thesis.ipynb").write_text('{"cells": []}')
    with pytest.raises(UsageError, match="belongs to the exercises 00"):
        grade(tmp_path / "empty", tmp_path / "out", [CHAPTER])
