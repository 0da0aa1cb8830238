"""What an exercise's answers are worth: compared with the solution's on hidden cases, and with those of usual mistakes.

Only this side knows the cases and the solution. An answer is
`{"value": …, "changed": …}`, or `{"error": kind, "message": …, "line": …}`.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mia_lib.course.chapters import Exercise
from mia_lib.course.frames import answered
from mia_lib.support.draws import generator

UNSTARTED = "NotImplementedError"
CHANGED = (
    "The numbers are right, but the function changes one of its arguments: whoever calls it loses what they had. "
    "Work on a copy, as `x = x - 1` makes one and `x -= 1` does not."
)


@dataclass(frozen=True)
class Verdict:
    """`status` is right, wrong, empty (not attempted), missing, stopped or unreadable; `message` is for the student."""

    exercise: Exercise
    status: str
    message: str
    mistake: str = ""

    @property
    def points(self) -> int:
        """All or nothing."""
        return self.exercise.points if self.status == "right" else 0


@lru_cache(maxsize=256)
def cases(exercise: Exercise, seed: int) -> tuple[tuple[str, tuple], ...]:
    """Hidden cases: what is special about each, and its arguments."""
    return tuple(exercise.hidden(generator(seed, f"hidden cases of {exercise.id}")))


def answers_of(function: Callable, drawn: Sequence[tuple[str, tuple]]) -> list[dict]:
    """What a function of the course answers to each case; what it does to its arguments does no harm."""
    found: list[dict] = []
    for _, arguments in drawn:
        try:
            with np.errstate(all="ignore"):
                found.append(answered(function, copy.deepcopy(arguments)))
        except Exception as error:
            found.append({"error": type(error).__name__, "message": str(error), "line": 0})
    return found


@lru_cache(maxsize=4096)
def _course_answers(exercise: Exercise, code: str, seed: int) -> list[dict]:
    return answers_of(exercise.function(code), cases(exercise, seed))


def close(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether numbers agree to five digits."""
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-8, equal_nan=True))


def same(found: Any, right: Any) -> bool:
    """Whether two values have one shape and agree in every number."""
    try:
        one, other = np.asarray(found), np.asarray(right)
        if one.shape != other.shape or one.dtype.kind not in "biuf":
            return False
        return close(one.astype(float), other.astype(float))
    except (TypeError, ValueError):
        return False


def agree(found: dict, right: dict) -> bool:
    """Whether two answers are the same value, or the same kind of error."""
    if "error" in found or "error" in right:
        return found.get("error") == right.get("error")
    return same(found["value"], right["value"])


def judge(exercise: Exercise, answers: Sequence[dict], seed: int = 0) -> Verdict:
    """The verdict on the answers to all hidden cases."""
    right = _course_answers(exercise, exercise.solution, seed)
    good = [agree(found, true) and "value" in found for found, true in zip(answers, right, strict=True)]
    hit = [fine and not found.get("changed") for found, fine in zip(answers, good, strict=True)]
    if all(hit):
        return Verdict(exercise, "right", "")
    if all(found.get("error") == UNSTARTED for found in answers):
        return Verdict(exercise, "empty", "Not attempted yet: the function still raises NotImplementedError.")
    if all(good):
        return Verdict(exercise, "wrong", CHANGED, "an argument is changed")
    for mistake in exercise.mistakes:
        usual = _course_answers(exercise, mistake.code, seed)
        if all(map(agree, answers, usual)):
            return Verdict(exercise, "wrong", mistake.lesson, mistake.title)
    labels = [label for label, _ in cases(exercise, seed)]
    title, why = _reason(exercise, answers, right, cases(exercise, seed), hit)
    where = f" Right on {sum(hit)} of {len(hit)} hidden cases; wrong first where: {labels[hit.index(False)]}."
    return Verdict(exercise, "wrong", f"{why}{where}", title)


def _reason(exercise, answers, right, drawn, hit) -> tuple[str, str]:
    """What any wrong answer may be: a short title, and a sentence."""
    first = answers[hit.index(False)]
    if "error" in first:
        return _error(exercise, first)
    values, truths = [a.get("value") for a in answers], [r["value"] for r in right]
    if all(value is None for value in values):
        return "returns nothing", "The function returns nothing: is there a `return` before the result?"
    if all(any(same(v, a) for a in arguments) for v, (_, arguments) in zip(values, drawn, strict=True)):
        return "returns an input", "The function gives one of its arguments back unchanged."
    constant = all(same(value, values[0]) for value in values)
    if constant and not all(same(truth, truths[0]) for truth in truths):
        return (
            "always the same answer",
            "The answer does not depend on the arguments: compute it instead of writing it down.",
        )
    truth = truths[hit.index(False)]
    if (found := _numbers(first["value"])) is None:
        kind = "nothing" if first["value"] is None else f"a {type(first['value']).__name__}"
        return (
            "no numbers",
            f"The function returns {kind} that is no number or array of numbers, as the docstring asks for.",
        )
    if found.shape != np.shape(truth):
        return "wrong shape", f"The result has shape {found.shape}; the docstring asks for {np.shape(truth)}."
    return _unbounded(found, truth) or _relation(values, truths) or ("another number", "The numbers differ.")


def _numbers(value: Any) -> np.ndarray | None:
    """An answer as an array of numbers; None where it is none."""
    try:
        array = np.asarray(value)
        return array.astype(float) if array.dtype.kind in "biuf" else None
    except (TypeError, ValueError, OverflowError):
        return None


def _unbounded(found: np.ndarray, truth: Any) -> tuple[str, str] | None:
    """What is not finite of an answer, of the right shape, whose truth is."""
    true = np.asarray(truth, float)
    if (np.isnan(found) & ~np.isnan(true)).any():
        return "not a number", "Some results are not a number (nan): is something divided by zero, or is log(0) taken?"
    if (np.isinf(found) & np.isfinite(true)).any():
        return "infinite", "Some results are infinite: is log(0) taken, is a sum over nothing, or does `exp` overflow?"
    return None


def _relation(values: list, truths: list) -> tuple[str, str] | None:
    """How wrong numbers relate to the right ones, if by one factor or one constant in all cases."""
    arrays = [array for array in map(_numbers, values) if array is not None]
    wanted = [np.asarray(truth, float) for truth in truths]
    if [array.shape for array in arrays] != [truth.shape for truth in wanted]:
        return None
    found, true = (np.concatenate([np.ravel(one) for one in side]) for side in (arrays, wanted))
    if (np.isfinite(found) != np.isfinite(true)).any():
        return None
    found, true = found[np.isfinite(true)], true[np.isfinite(true)]
    if not true.any() or len(np.unique(true)) < 2:
        return None
    factor, shift = float(found @ true / (true @ true)), float((found - true).mean())
    if close(found, -true):
        return "the sign", "The sign is the other way round: which direction means member, or better?"
    if factor and close(found, factor * true):
        return (
            "a constant factor",
            f"Every result is {factor:.4g} times what it should be: is a mean a sum, is a unit another?",
        )
    if close(found, true + shift):
        return (
            "a constant shift",
            f"Every result lies {shift:+.4g} from what it should be: is a term missing?",
        )
    return None


def _error(exercise: Exercise, fault: dict) -> tuple[str, str]:
    """A fault of a call in a sentence."""
    kind, message, line = str(fault["error"]), str(fault.get("message", "")), fault.get("line") or 0
    at = f" in line {line} of the cell" if line else ""
    if kind == "answer":
        return "no numbers", f"What the function returns cannot be compared: {message}."
    if kind == UNSTARTED:
        return "not finished", f"A part still raises NotImplementedError{at}."
    if kind == "NameError":
        return kind, f"`{message}`{at}: a cell must define everything that it uses."
    return kind, f"{exercise.name} fails{at}: {in_words(fault)}."


def in_words(fault: dict) -> str:
    """The kind of an error, and its message if it has one."""
    return ": ".join(str(fault[name]) for name in ("error", "message") if fault.get(name))
