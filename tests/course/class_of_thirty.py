"""Thirty submissions of a class, as good and as bad as they come: `python tests/course/class_of_thirty.py` grades them."""

import copy
import json
import sys
import tempfile
import time
from pathlib import Path

from mia_lib.course.chapters import FOLDER, find_chapters
from mia_lib.course.grade import grade
from mia_lib.course.release import made
from mia_lib.course.sandbox import Limits

CHAPTER = find_chapters("00")[0]
FIRST, SECOND = CHAPTER.exercises
NAME = f"{CHAPTER.name}.ipynb"
HEAD = f"def {FIRST.name}(*a):\n    "
SOURCE = FOLDER / f"{CHAPTER.name}.md"


def codes(outside: Path) -> dict[str, tuple[str, str]]:
    """What a student does to the first exercise: the code of its cell, and the status that it must get."""
    reads = f"text = open({str(SOURCE)!r}).read()\n{HEAD}return len(text)"
    kills = "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.kill(os.getppid(), 9)\nlibc.kill(-1, 9)\n"
    opens = f"import ctypes\nfound = ctypes.CDLL(None).open({str(outside).encode()!r}, 65, 511)\n"
    peeks = f"import ctypes\nfound = ctypes.CDLL(None).open({str(SOURCE).encode()!r}, 0)\n"
    forges = (
        "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'\\x20\\0\\0\\0' + b'status: right' * 40)\n"
        "    except OSError: pass\n"
    )
    stubborn = "\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass"
    right = {f"right {k}": (code, "right") for k, code in enumerate([FIRST.solution, *FIRST.also_right])}
    wrong = {f"wrong {k}": (mistake.code, "wrong") for k, mistake in enumerate(FIRST.mistakes)}
    return right | wrong | {
        "the input": (f"{HEAD}return a[0]", "wrong"),
        "empty": (f"{HEAD}raise NotImplementedError()", "empty"),
        "endless cell": ("while True:\n    pass", "stopped"),
        "endless call": (f"{HEAD}\n    while True:\n        pass", "stopped"),
        "endless and stubborn": (f"{HEAD}{stubborn}", "stopped"),
        "memory in a cell": (f"x = np.ones(10**11)\n{HEAD}return 1", "stopped"),
        "memory in a call": (f"{HEAD}\n    x = []\n    while True:\n        x.append(bytearray(10**8))", "stopped"),
        "syntax error": ("def first_guess(confidence, inside:\n    return", "wrong"),
        "another name": ("def my_guess(*a):\n    return 1", "missing"),
        "a cell with nothing": ("", "missing"),
        "leaves": (f"import os\n{HEAD}os._exit(0)", "stopped"),
        "magic": (f"%matplotlib inline\n!pip list\n{FIRST.solution}", "right"),
        "timed": (f"%%time\n{FIRST.solution}", "right"),
        "asks for help": (f"np.unique?\n{FIRST.solution}", "right"),
        "draws": (f"import matplotlib.pyplot as plt\nplt.plot([0, 1])\n{FIRST.solution}", "right"),
        "reads the tests": (reads, "wrong"),
        "reads them in C": (f"{peeks}{HEAD}return found", "wrong"),
        "imports the judge": (f"from mia_lib.course import judge\n{HEAD}return 1", "wrong"),
        "writes outside": (f"open({str(outside)!r}, 'w').write('x')\n{HEAD}return 1", "wrong"),
        "writes outside in C": (f"{opens}{HEAD}return found", "wrong"),
        "asks the network": (f"import socket\nsocket.create_connection(('192.0.2.1', 80))\n{HEAD}return 1", "wrong"),
        "kills whom it can": (f"{kills}{HEAD}return 1", "wrong"),
        "forges answers": (f"{forges}{HEAD}return 1", "stopped"),
        "an object": (f"{HEAD}return object()", "wrong"),
        "a fork bomb in C": (f"import ctypes\nwhile ctypes.CDLL(None).fork() >= 0: pass\n{FIRST.solution}", "right"),
        "a finaliser that sleeps": (f"import atexit, time\natexit.register(time.sleep, 999)\n{FIRST.solution}", "right"),
        "changes its input": (f"{FIRST.solution}\n_own = {FIRST.name}\n{HEAD}found = _own(*a)\n    a[0][:] = 0\n"
                              "    return found", "wrong"),
        "ünï <b>&": (FIRST.solution, "right"),
    }  # fmt: skip


def write_class(folder: Path, outside: Path) -> dict[str, str]:
    """Write all submissions; returns the right status of each student's first exercise."""
    student, solved = made(CHAPTER, solved=False), made(CHAPTER, solved=True)
    expected = {}
    for name, (code, status) in codes(outside).items():
        notebook = copy.deepcopy(student)
        for cell, full in zip(notebook.cells, solved.cells, strict=True):
            cell.source = code if cell.id == FIRST.id else full.source
        _put(folder, name, json.dumps(notebook))
        expected[name] = status
    gone = copy.deepcopy(student)
    gone.cells = [cell for cell in gone.cells if cell.id != FIRST.id]
    _put(folder, "cell deleted", json.dumps(gone))
    (folder / "nothing handed in").mkdir()
    _put(folder, "no JSON", '{"cells": [')
    _put(folder, "no notebook", "[1, 2]")
    return expected | {
        "cell deleted": "missing",
        "nothing handed in": "missing",
        "no JSON": "unreadable",
        "no notebook": "unreadable",
    }


def _put(folder: Path, student: str, text: str) -> None:
    (folder / student).mkdir(parents=True)
    (folder / student / NAME).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        root, start = Path(place), time.perf_counter()
        right = write_class(root / "class", root / "outside")
        grade(root / "class", root / "graded", [CHAPTER], Limits(seconds=1.0, total=12.0, memory=2**30), say=print)
        print(f"{len(right)} submissions in {time.perf_counter() - start:.1f} s", file=sys.stderr)
