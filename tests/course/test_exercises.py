"""Every exercise: right answers pass however they are written, wrong ones do not, and usual mistakes are called by name."""

import ast
import re

import numpy as np
import pytest

from mia_lib.course.chapters import FOLDER, SET_UP, find_chapters, read_chapter
from mia_lib.course.judge import answers_of, cases, judge
from mia_lib.course.release import CHECK, hidden_tests, visible_tests
from mia_lib.defenses.accounting import ORDERS, renyi_divergence
from mia_lib.evaluation.rates import tpr_at_fpr
from mia_lib.series.notebooks import find_notebooks
from mia_lib.support.errors import MiaError

CHAPTERS = find_chapters()
EXERCISES = {exercise.id: exercise for chapter in CHAPTERS for exercise in chapter.exercises}


def verdict(exercise, code, seed=0):
    return judge(exercise, answers_of(exercise.function(code), cases(exercise, seed)), seed)


def generic(exercise):
    """Wrong answers to any exercise."""
    namespace: dict = {}
    exec(SET_UP + exercise.solution, namespace)
    first = next(node for node in ast.parse(exercise.examples).body if isinstance(node, ast.Expr))
    exec(exercise.examples.split(ast.get_source_segment(exercise.examples, first))[0], namespace)
    shown = np.asarray(eval(ast.unparse(first), namespace)).tolist()
    head = f"def {exercise.name}(*a):\n    "
    return {
        "the number of the example": f"{head}return np.array({str(shown).replace('nan', 'np.nan')})",
        "the first argument": f"{head}return a[0]",
        "the last argument": f"{head}return a[-1]",
        "the reference by name": f"{head}return solution(*a)",
        "nothing": f"{head}pass",
    }


@pytest.mark.parametrize("name", EXERCISES)
def test_right_answers_pass_and_wrong_ones_are_named(name):
    exercise = EXERCISES[name]
    right = [exercise.solution, *exercise.also_right]
    assert len(right) >= 3 and len(exercise.mistakes) >= 3
    for seed in (0, 1, 2):
        for code in right:
            found = verdict(exercise, code, seed)
            assert found.status == "right", f"{found.message}\n{code}"
        for mistake in exercise.mistakes:
            found = verdict(exercise, mistake.code, seed)
            assert (found.status, found.mistake) == ("wrong", mistake.title), found.message
            assert found.message == mistake.lesson
    for kind, code in generic(exercise).items():
        found = verdict(exercise, code)
        assert found.status == "wrong" and found.points == 0 and found.message, kind


@pytest.mark.parametrize("name", EXERCISES)
def test_the_notebooks_own_checks_tell_right_from_wrong(name):
    exercise = EXERCISES[name]
    tests = visible_tests(exercise) + hidden_tests(exercise)
    namespace: dict = {"print": lambda *a: None}
    exec(SET_UP + CHECK + exercise.solution + tests, namespace)
    with pytest.raises((AssertionError, TypeError)):
        exec(SET_UP + CHECK + f"def {exercise.name}(*a):\n    return -7.5\n" + tests, dict(namespace))


TRICKS = {
    "the checker replaced": """
check = lambda *a: None
all = any = lambda *a: True
def {name}(*a):
    return -7.5
""",
    "NumPy replaced": """
np.allclose, np.shape = (lambda *a, **k: True), (lambda a: ())
def {name}(*a):
    return -7.5
""",
    "the reference by name": """
import sys
def {name}(*a):
    scope = sys._getframe(1)
    return next(f for n, f in (scope.f_globals | scope.f_locals).items() if "solution" in n)(*a)
""",
    "equal to everything": """
class Any(float):
    __eq__ = __le__ = __ge__ = __lt__ = lambda *a: True
    __sub__ = __rsub__ = __abs__ = lambda self, *a: self
def {name}(*a):
    return Any(0)
""",
    "arguments spoilt": """
{solution}
_own = {name}
def {name}(*a):
    found = _own(*a)
    for one in a:
        if isinstance(one, np.ndarray):
            one[...] = np.zeros_like(one)
    return found
""",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_hidden_tests_are_not_fooled_in_the_students_own_kernel(trick, monkeypatch):
    for name in ("allclose", "shape"):  # what is replaced is put back
        monkeypatch.setattr(np, name, getattr(np, name))
    for exercise in EXERCISES.values():
        if trick == "arguments spoilt" and not any(isinstance(a, np.ndarray) for a in cases(exercise, 0)[0][1]):
            continue
        code = TRICKS[trick].format(name=exercise.name, solution=exercise.solution)
        with pytest.raises((AssertionError, StopIteration)):
            exec(SET_UP + code + hidden_tests(exercise), {})


def test_who_changes_an_argument_is_told():
    exercise = EXERCISES["04-auc"]
    found = verdict(exercise, TRICKS["arguments spoilt"].format(name=exercise.name, solution=exercise.solution))
    assert (found.status, found.mistake) == ("wrong", "an argument is changed")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_a_chapter_is_of_a_notebook_and_has_enough_to_do(chapter):
    names = {notebook.name[:2]: notebook.name for notebook in find_notebooks()}
    assert names.get(chapter.name[:2], chapter.name) == chapter.name
    assert len(chapter.exercises) >= 3 or chapter.name.startswith("00")
    assert all(5 <= e.minutes <= 30 and len(e.hints) == 3 for e in chapter.exercises)
    for exercise in chapter.exercises:
        tree = ast.parse(exercise.solution).body[0]
        lines = exercise.solution.splitlines()[tree.body[0].end_lineno :]
        assert len([line for line in lines if line.strip()]) <= 15
        assert ast.get_docstring(tree) and "Returns" in ast.get_docstring(tree)


def test_there_are_forty_exercises_from_01_to_14_with_names_of_their_own():
    assert {chapter.name[:2] for chapter in CHAPTERS} == {f"{k:02}" for k in range(16)}
    assert sum(1 <= int(name[:2]) <= 14 for name in EXERCISES) >= 40
    assert len({exercise.name for exercise in EXERCISES.values()}) == len(EXERCISES)


def test_solutions_say_what_the_package_says():
    rng = np.random.default_rng(5)
    member = rng.random(300) < 0.4
    scores = np.round(rng.normal(size=300) + member, 1)
    rate = EXERCISES["06-tpr-at-fpr"].function(EXERCISES["06-tpr-at-fpr"].solution)
    assert rate(scores, member, 0.03) == pytest.approx(tpr_at_fpr(scores, member, 0.03))
    step = EXERCISES["11-rdp-of-step"]
    theirs = float(renyi_divergence(0.02, 1.3, 1)[ORDERS == 12][0])
    assert step.function(step.solution)(0.02, 1.3, 12) == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("### Hints", "### Clues"), "its parts must be"),
        (("10 minutes, difficulty", "ten minutes, difficulty"), "a line such as"),
        (("3. Compare", "Compare"), "three hints"),
        (
            ("(confidence, inside, outside):\n    return confidence >", "_2(c):\n    return c >"),
            "must define",
        ),
    ],
)
def test_a_chapter_that_is_wrong_is_refused_with_its_place(tmp_path, change, said):
    text = (FOLDER / "00_start_here.md").read_text(encoding="utf-8")
    assert change[0] in text
    path = tmp_path / "00_start_here.md"
    path.write_text(text.replace(*change, 1), encoding="utf-8")
    with pytest.raises(MiaError, match=rf"00_start_here\.md.*first_guess.*{re.escape(said)}"):
        read_chapter(path)


def test_an_answer_whose_shape_is_wrong_in_a_later_case_only_is_judged():
    """One such answer once ended the grading of a class."""
    exercise = next(one for one in EXERCISES.values() if one.name == "reverberate")
    answers = [dict(one) for one in answers_of(exercise.function(exercise.solution), cases(exercise, 0))]
    answers[0] = {"value": 2 * np.asarray(answers[0]["value"]), "changed": False}
    answers[-1] = {"value": np.ones(np.size(answers[-1]["value"]) + 7), "changed": False}
    assert judge(exercise, answers).status == "wrong"


@pytest.mark.parametrize(
    ("value", "title"),
    [
        (np.nan, "not a number"),
        (np.inf, "infinite"),
        ("yes", "no numbers"),
        ({"a": 1}, "no numbers"),
        ([[1], [1, 2]], "no numbers"),
    ],
)
def test_what_is_said_of_an_answer_is_about_the_first_wrong_case(value, title):
    exercise = next(one for one in EXERCISES.values() if one.name == "posteriors")
    right = answers_of(exercise.function(exercise.solution), cases(exercise, 0))
    for wrong, said in ((0, title), (1, "another number")):
        answers = [dict(one) for one in right]
        other = np.asarray(right[2]["value"])
        answers[2] = {
            "value": np.full_like(other, value) if np.isscalar(value) and not isinstance(value, str) else value
        }
        answers[0] = answers[0] if wrong == 0 else {"value": np.asarray(right[0]["value"]) + np.arange(4) ** 2}
        assert judge(exercise, answers).mistake == said
