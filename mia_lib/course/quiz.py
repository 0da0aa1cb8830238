"""A quiz whose answers need a run: the right ones are looked up in its results.csv, and are others for another run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.spreadsheets import every_cell

FILE = Path(__file__).with_name("quiz.yaml")
NEAR = 0.0100001
"""How far a number may lie from the right one, as a share of it where that is above 1."""
USUAL = {"protocol": "", "defense": "none", "attack": "none", "adaptive": False}


@dataclass(frozen=True)
class Question:
    """One question. `kind` and what it needs (`row`, `other`, `level`, `over`, `among`) are as quiz.yaml explains, and so is
    `notebooks`."""

    part: str
    notebooks: str
    id: str
    ask: str
    kind: str
    row: dict
    why: str
    other: dict | None = None
    level: float = 0.0
    over: str = ""
    among: tuple[str, ...] = ()


def questions(part: str | None = None) -> list[Question]:
    """All questions, or those of one part; raises UsageError for a part that there is not."""
    parts = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    known = {str(one["part"]): one for one in parts}
    if part is not None and part not in known:
        names = ", ".join(f"{number} {one['title']}" for number, one in known.items())
        raise UsageError(f"there is no part {part!r}; there are {names}")
    chosen = known.values() if part is None else [known[part]]
    return [Question(str(one["part"]), one["notebooks"], **question) for one in chosen for question in one["questions"]]


def asked(run: str, part: str | None = None) -> list[str]:
    """The questions as lines, how they are answered, and which of them a run cannot answer yet; UsageError as `records`."""
    table, wanted = records(run), questions(part)
    lines = [f"{question.id}  {question.ask}" for question in wanted]
    lines.append(
        "The numbers are in the run's results.csv, by protocol, defense, attack, adaptive and metric; unless a question says "
        "otherwise it is about the attacked models without a defense, and about attacks that are not adaptive. Answer in a "
        "table with the columns question and answer: a number (.753 or 75.3 %; within .01, or 1 % where it is above 1), a "
        "name, yes or no; --answers FILE."
    )
    waiting = [question for question in wanted if truth(question, table) is None]
    notebooks = sorted({number for question in waiting for number in question.notebooks.split(", ")})
    if waiting:
        lines.append(
            f"{run} cannot tell {', '.join(q.id for q in waiting)}: they need notebooks {', '.join(notebooks)}, or, if those "
            "were run, defenses that this run did not choose."
        )
    return lines


def records(run: str) -> pd.DataFrame:
    """The records of a run on its own corpus: notebook 05 makes far-field ones besides. UsageError where there is no run."""
    names = ("results.csv", "results.csv.gz")  # packed in the reference that is committed
    path = next((path for name in names if (path := Path(run) / name).is_file()), None)
    if path is None:
        raise UsageError(f"{run} holds no results.csv: name the folder of a run, such as outputs/demo-standard-s0")
    table = pd.read_csv(path, keep_default_na=False, na_values={"value": "", "low": "", "high": ""})
    return table[table["corpus"] == table["corpus"].mode().iloc[0]] if len(table) else table


def truth(question: Question, results: pd.DataFrame) -> float | str | tuple[str, ...] | None:
    """The right answer by the records of a run; None where it holds no such records. Where a name is asked for, the names of
    which any is right: the best by the number, and those whose interval holds that number, which are not told from it."""
    if question.kind in ("largest", "smallest"):
        found = _records(results, {**question.row, question.over: None})
        if question.among:
            found = found[found[question.over].isin(question.among)]
        if found[question.over].nunique() < 2:
            return None
        found = found.sort_values("value", ascending=question.kind == "smallest").drop_duplicates(question.over)
        best = found["value"].iloc[0]
        low, high, best = found["low"].round(3), found["high"].round(3), round(best, 3)  # as people are shown them
        alike = (low <= best) & (best <= high) | (found["value"].round(3) == best)
        return tuple(found.loc[alike, question.over].astype(str))
    rows = [_records(results, row) for row in (question.row, question.other) if row is not None]
    if any(found.empty for found in rows):
        return None
    first = rows[0].iloc[0]
    if question.kind == "above":
        return "yes" if first["low"] > question.level else "no"
    if question.kind == "difference":
        return float(first["value"] - rows[1].iloc[0]["value"])
    return float(first["value"])


def _records(results: pd.DataFrame, row: dict) -> pd.DataFrame:
    """The records that a row names; a defense without a strength stands for itself with any, None for anything."""
    kept = pd.Series(True, index=results.index)
    for name, value in {**USUAL, **row}.items():
        column = results[name].astype(str)
        if value is not None:
            strength = "(:[^+]*)?" if name == "defense" else ""
            kept &= column.str.fullmatch(re.escape(str(value)) + strength)
    return results[kept]


def right(given: str, answer: float | str | tuple[str, ...]) -> bool:
    """Whether an answer is right: a number near enough, or a name that is right (a defense also without its strength)."""
    given = given.strip().lower()
    if isinstance(answer, tuple):
        return any(right(given, name) for name in answer)
    if isinstance(answer, str):
        return given in (answer.lower(), answer.lower().split(":")[0])
    try:
        number, percent, _ = re.sub(r"(?<=\d),(?=\d)", ".", given).partition("%")
        return abs(float(number) / (100 if percent else 1) - answer) <= NEAR * max(1, abs(answer))
    except ValueError:
        return False


def checked(run: str, answers: str, part: str | None = None) -> Iterator[str]:
    """What to say of each answer, and the sum; of a folder of tables a line each, also of those that cannot be read.

    Raises UsageError or MiaError that names what cannot be read, of a folder after its last line.
    """
    table, wanted, place = records(run), questions(part), Path(answers)
    if not place.is_dir():
        yield from _said(wanted, table, _given(place, wanted))
        return
    files, unread = sorted(place.glob("*.csv")), []
    if not files:
        raise UsageError(f"{answers} holds no table of answers: they are expected as NAME.csv")
    for file in files:
        try:
            yield f"{file.stem}: {_said(wanted, table, _given(file, wanted))[-1]}"
        except MiaError as error:
            unread.append(file.name)
            yield f"{file.stem}: not counted: {error}"
    if unread:
        raise MiaError(f"{len(unread)} of {len(files)} tables could not be counted: {', '.join(unread)}")


def _said(wanted: list[Question], table: pd.DataFrame, given: dict[str, str]) -> list[str]:
    lines, points, possible = [], 0, 0
    for question in wanted:
        answer = truth(question, table)
        if answer is None:
            lines.append(f"{question.id}  this run cannot tell: run notebooks {question.notebooks}")
            continue
        possible += 1
        good = question.id in given and right(given[question.id], answer)
        points += good
        said = "not answered" if question.id not in given else "look again at the record that is asked for"
        lines.append(f"{question.id}  right. {question.why}" if good else f"{question.id}  {said}")
    return [*lines, f"{points} of {possible} right"]


def _given(file: Path, wanted: list[Question]) -> dict[str, str]:
    """Answers by the number of their question."""
    try:
        with every_cell():
            first = file.read_text(encoding="utf-8-sig").partition("\n")[0]
            by = ";" if ";" in first and "," not in first else ","
            table = pd.read_csv(file, sep=by, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise MiaError(f"{file.name} cannot be read as a table: {error}") from None
    if not {"question", "answer"} <= set(table.columns):
        raise MiaError(f"{file.name} needs the columns question and answer")
    given = {str(row.question).strip(): str(row.answer) for row in table.itertuples() if str(row.answer).strip()}
    unknown = sorted(set(given) - {question.id for question in wanted})
    if unknown:
        raise MiaError(f"{file.name}: there is no question {unknown[0]!r}; there are {', '.join(q.id for q in wanted)}")
    return given
