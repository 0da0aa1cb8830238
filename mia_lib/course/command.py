"""`mia-lib course` and `mia-lib challenge`: their options, and what each of them carries out."""

import argparse
from pathlib import Path

from mia_lib.support.console import Console
from mia_lib.support.errors import UsageError

COURSE = "Exercises beside the notebooks: write them for a class, grade what it hands in, and ask what a run shows."
CHALLENGE = (
    "A competition: who tells best which recordings a model was trained on? Make one, and score what is sent in."
)
SCENARIOS = "none, label_only, dp_finetune:8"


def add_course(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The commands of `course`; returns their parsers."""
    tasks = parser.add_subparsers(dest="task", metavar="{release,grade,quiz}")
    release = tasks.add_parser(
        "release",
        help="write the exercises as notebooks",
        description="Write DIR/student with stubs, examples, hints and checks, and DIR/instructor with solutions and "
        "hidden tests as well: a source for nbgrader.",
        allow_abbrev=False,
    )
    release.add_argument("folder", metavar="DIR", help="where to write")
    grade = tasks.add_parser(
        "grade",
        help="grade a folder of submissions",
        description="Run every notebook of SUBMISSIONS (STUDENT/NN_name.ipynb) in a process of its own with little time and "
        "memory, no network and nothing to read or write, judge its functions on hidden cases, and write grades.csv, "
        "verdicts.csv, a page per student and one on the class.",
        allow_abbrev=False,
    )
    grade.add_argument("folder", metavar="SUBMISSIONS", help="a folder of notebooks per student")
    grade.add_argument("--to", metavar="DIR", help="where grades and pages are written (SUBMISSIONS-graded)")
    grade.add_argument("--seconds", type=float, default=10.0, help="processor time of a cell or call (10)")
    grade.add_argument("--memory", type=int, default=2048, metavar="MB", help="memory of a submission (2048)")
    grade.add_argument(
        "--seed", type=int, default=0, help="of the hidden cases; a number of your own keeps them unknown (0)"
    )
    for task in (release, grade):
        task.add_argument("--only", metavar="NN,NN", help="only the exercises of the notebooks with these numbers")
    quiz = tasks.add_parser(
        "quiz",
        help="questions that a run answers",
        description="Print the questions of a part of the series, or check answers to them by the results.csv of a run.",
        allow_abbrev=False,
    )
    quiz.add_argument("run", metavar="RUN", help="the folder of a run, such as outputs/demo-standard-s0")
    quiz.add_argument(
        "--part", default=None, help="1 data and model, 2 attacks, 3 defenses, 4 choosing and auditing (all)"
    )
    quiz.add_argument(
        "--answers", metavar="FILE", help="a table with the columns question and answer (.csv), or a folder of them"
    )
    return [release, grade, quiz]


def add_challenge(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The commands of `challenge`; returns their parsers."""
    tasks = parser.add_subparsers(dest="task", metavar="{make,score}")
    make = tasks.add_parser(
        "make",
        help="train the models and write the folders",
        description="Train reference models and write DIR/public (train, dev and final, with answers of each model; who is a "
        "member is told in train and dev) and DIR/secret (who is a member in final, whose digest is public).",
        allow_abbrev=False,
    )
    make.add_argument("folder", metavar="DIR", help="where to write")
    make.add_argument("--corpus", default="demo", help="a corpus name (demo)")
    make.add_argument(
        "--models",
        type=int,
        default=60,
        help="models of a scenario: two thirds train, a sixth dev, a sixth final (60; at least 6)",
    )
    make.add_argument("--scenarios", default=SCENARIOS, help=f"defenses, none among them ({SCENARIOS})")
    make.add_argument("--profile", default="standard", help="size of the experiment (standard)")
    make.add_argument("--seed", type=int, default=0, help="seed of the corpus; coins come from a secret (0)")
    make.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    make.add_argument("--outputs", default="outputs", metavar="DIR", help="where the cache is kept (outputs)")
    make.add_argument(
        "--data-root", metavar="DIR", help="folder of local corpora (the variable MIA_DATA_ROOT, or data)"
    )
    make.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="name=value", help="change settings of the profile"
    )
    score = tasks.add_parser(
        "score",
        help="score a submission and renew the board",
        description="Check a submission (columns scenario, part, model, row, score; higher means member), rate it on dev and "
        "final, and renew DIR/board.html.",
        allow_abbrev=False,
    )
    score.add_argument("folder", metavar="DIR", help="the folder that `challenge make` wrote")
    score.add_argument("file", metavar="SUBMISSION.csv", help="scores; the file's name is the name on the board")
    score.add_argument(
        "--replace",
        action="store_true",
        help="take the place of another submission of the same name (refused otherwise)",
    )
    return [make, score]


def run_course(arguments: argparse.Namespace) -> None:
    """`course`: carry out what is asked."""
    tasks = {"release": _release, "grade": _grade, "quiz": _quiz}
    if arguments.task not in tasks:
        raise UsageError("say what to do: course release, grade or quiz (`python -m mia_lib course --help` explains)")
    tasks[arguments.task](arguments, Console())


def run_challenge(arguments: argparse.Namespace) -> None:
    """`challenge`: carry out what is asked."""
    tasks = {"make": _make, "score": _score}
    if arguments.task not in tasks:
        raise UsageError("say what to do: challenge make or score (`python -m mia_lib challenge --help` explains)")
    tasks[arguments.task](arguments, Console())


def _release(arguments: argparse.Namespace, console: Console) -> None:
    from mia_lib.course.chapters import find_chapters
    from mia_lib.course.release import release

    chapters = find_chapters(arguments.only)
    release(Path(arguments.folder), chapters)
    exercises = sum(len(chapter.exercises) for chapter in chapters)
    sides = [Path(arguments.folder) / side for side in ("student", "instructor")]
    console.say(f"{len(chapters)} notebooks with {exercises} exercises: {sides[0]}; with solutions: {sides[1]}")


def _grade(arguments: argparse.Namespace, console: Console) -> None:
    from mia_lib.course.chapters import find_chapters
    from mia_lib.course.grade import grade
    from mia_lib.course.sandbox import Limits, missing_walls

    if not 0.1 <= arguments.seconds <= 3600 or not 256 <= arguments.memory <= 2**20:
        raise UsageError("--seconds must be from 0.1 to 3600, and --memory from 256 MB")
    if not 0 <= arguments.seed < 2**32:
        raise UsageError(f"the seed must be from 0 to {2**32 - 1}, not {arguments.seed}")
    for line in missing_walls():
        console.say(line)
    folder = Path(arguments.folder)
    out = Path(arguments.to) if arguments.to else folder.absolute().with_name(f"{folder.absolute().name}-graded")
    limits = Limits(arguments.seconds, 12 * arguments.seconds, arguments.memory * 2**20)
    grade(folder, out, find_chapters(arguments.only), limits, arguments.seed, console.say)
    console.say(f"Grades: {out / 'grades.csv'}; pages: {out / 'index.html'}")


def _quiz(arguments: argparse.Namespace, console: Console) -> None:
    from mia_lib.course.quiz import asked, checked

    run, part = arguments.run, arguments.part
    for line in checked(run, arguments.answers, part) if arguments.answers else asked(run, part):
        console.say(line)


def _make(arguments: argparse.Namespace, console: Console) -> None:
    from mia_lib.course.challenge import make

    with console.follow():
        make(arguments, console.say)


def _score(arguments: argparse.Namespace, console: Console) -> None:
    from mia_lib.course.scoring import score

    for line in score(Path(arguments.folder), Path(arguments.file), arguments.replace):
        console.say(line)
