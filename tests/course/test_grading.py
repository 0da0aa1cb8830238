"""Thirty submissions get the grade they deserve, each with its page, and none of them harms the grader."""

import html
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from class_of_thirty import CHAPTER, FIRST, NAME, SECOND, write_class

from mia_lib.course import sandbox
from mia_lib.course.confinement import readable
from mia_lib.course.frames import BadFrame, pack, read_frame, unpacked
from mia_lib.course.grade import grade
from mia_lib.course.sandbox import WALLS, Limits, missing_walls
from mia_lib.support.errors import UsageError

LIMITS = Limits(seconds=1.0, total=12.0, memory=2**30)
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
    spoilt = {"no JSON", "no notebook", "cell deleted"}
    assert set(second.index[second["status"] != "right"]) == spoilt
    assert not outside.exists()
    for k, mistake in enumerate(FIRST.mistakes):
        assert (
            first.loc[f"wrong {k}", "mistake"] == mistake.title and first.loc[f"wrong {k}", "message"] == mistake.lesson
        )
    points = grades.set_index("student")["points"]
    assert points["right 0"] == 2 and points["wrong 0"] == 1 and points["no JSON"] == 0
    assert first.loc["reads the tests", "message"].count("PermissionError") == 1
    pages = {path.name for path in (tmp_path / "graded" / "feedback").iterdir()}
    assert len(pages) == len(expected)
    page = (tmp_path / "graded" / "feedback" / "wrong-0.html").read_text(encoding="utf-8")
    assert html.escape(FIRST.mistakes[0].lesson) in page and "1 of 2 points" in page
    overview = (tmp_path / "graded" / "index.html").read_text(encoding="utf-8")
    assert all(html.escape(wall) in overview.replace("&#39;", "&#x27;") for wall in WALLS.values())
    assert "PermissionError (" in overview


def test_without_the_kernels_walls_python_itself_refuses(tmp_path, monkeypatch):
    code = f"""
from mia_lib.course import confinement
confinement.landlock = lambda paths: False
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
