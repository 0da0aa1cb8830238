"""What a model's outputs mean: which of them is which speaker, and what kind of numbers they are."""

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mia_lib.corpora.people import read_people
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.files import check_file

SUM_TO_ONE = 1e-3


@dataclass(frozen=True)
class Classes:
    """Which output of a model is which speaker. called: where that is said. count: of all outputs, 0 where not all are
    named."""

    index: dict[str, int]
    called: str
    count: int = 0


def read_classes(given: Any) -> Classes:
    """Classes from a text file with a name per line, in the order of the outputs; a CSV with the columns index and speaker,
    which need not name all; a sequence of names, or a mapping from names to numbers.

    Raises MiaError, one sentence, for a name or number that is there twice or missing.
    """
    if isinstance(given, Classes):
        return given
    if isinstance(given, Mapping):
        return _checked([(str(name), int(i)) for name, i in given.items()], "classes")
    if isinstance(given, Sequence) and not isinstance(given, str):
        return _checked([(str(name), i) for i, name in enumerate(given)], "classes", len(given))
    path, called = Path(os.path.expanduser(given)), os.fspath(given)
    check_file(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError:
        raise MiaError(f"{called}: is not in UTF-8: save the names as UTF-8") from None
    except OSError as error:
        raise MiaError(f"{called}: cannot be read ({error.strerror})") from None
    if lines and {"index", "speaker"} <= {name.strip("\" '") for name in _split(lines[0].lower())}:
        return _checked([(row["speaker"], _number(row["index"], called)) for row in read_people(path)], called)
    return _checked([(line.strip(), i) for i, line in enumerate(lines)], called, len(lines))


def _split(line: str) -> list[str]:
    for mark in ";\t|":
        line = line.replace(mark, ",")
    return [name.strip() for name in line.split(",")]


def _number(text: str, called: str) -> int:
    if not text.isdecimal():
        raise MiaError(f"{called}: an index must be a whole number from 0 on, not {text!r}")
    return int(text)


def _checked(pairs: list[tuple[str, int]], called: str, count: int = 0) -> Classes:
    index: dict[str, int] = {}
    seen: dict[int, str] = {}
    for name, i in pairs:
        name = unicodedata.normalize("NFC", name)
        if not name:
            raise MiaError(f"{called}: class {i} has no name: give a speaker for each output")
        if name in index:
            raise MiaError(f"{called}: {name!r} is there twice: each speaker is one class")
        if i in seen:
            raise MiaError(f"{called}: class {i} is both {seen[i]!r} and {name!r}")
        index[name], seen[i] = i, name
    if not index:
        raise MiaError(f"{called}: names no class")
    return Classes(index, called, count)


def check_width(classes: Classes, width: int, model: str) -> None:
    """Raise MiaError unless the classes fit a model with `width` outputs."""
    largest = max(classes.index.values())
    if classes.count not in (0, width) or largest >= width:
        named = classes.count or largest + 1
        raise MiaError(
            f"the model {model} gives {width} numbers for a recording, and {classes.called} names {named} classes: name one "
            "speaker for each output, or say --gives embeddings without --classes"
        )


def labels(classes: Classes | None, speaker: np.ndarray, member: np.ndarray) -> np.ndarray:
    """The class of each row's speaker [N], -1 where the model has none: int64 [N]. Raises MiaError for members without."""
    if classes is None:
        return np.full(len(speaker), -1, np.int64)
    found = np.array([classes.index.get(name, -1) for name in speaker], np.int64)
    if strangers := sorted(set(speaker[(found < 0) & (member == 1)])):
        more = f" and {len(strangers) - 3} others" if len(strangers) > 3 else ""
        raise MiaError(
            f"{classes.called}: names no class for {', '.join(map(repr, strangers[:3]))}{more}, of whom there are members: "
            "classes are called as the speakers' folders (or the column speaker) are"
        )
    return found


def kind_of(answers: np.ndarray, classes: Classes | None) -> tuple[str, str]:
    """What answers [N, C] must be, one of `evidence.KINDS`, and why that is thought."""
    if answers.min(initial=0) >= 0 and np.abs(answers.sum(1, dtype=np.float64) - 1).max(initial=0) <= SUM_TO_ONE:
        return "posteriors", "they are at least 0 and sum to one"
    if classes is None:
        unit = np.abs(np.linalg.norm(answers.astype(np.float64), axis=1) - 1).max(initial=0) <= SUM_TO_ONE
        return "embeddings", "they have length one" if unit else "no classes were named"
    return "logits", "there is one for each class"


def check_gives(gives: str | None, answers: np.ndarray, classes: Classes | None) -> None:
    """Raise UsageError where it was said what answers [N, C] are, and they cannot be that."""
    if gives == "posteriors" and kind_of(answers, classes)[0] != "posteriors":
        raise UsageError(
            "--gives posteriors: the model's answers are not at least 0 with a sum of one, so they are not that"
        )
