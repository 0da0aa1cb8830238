"""`challenge score`: a submission is checked, rated on dev and on final, and put on the board beside the others."""

import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mia_lib.attacks.threshold import best_threshold
from mia_lib.course.challenge import PUBLIC, SEALED, file_name
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.rates import POOLED
from mia_lib.reporting.templates import rendered
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.files import read_json, write_atomically
from mia_lib.support.spreadsheets import every_cell

MEASURES = {
    "tpr_at_fpr_1e-2": "members found at 1 % false alarms",
    POOLED: "members found at 0.1 % false alarms",
    "balanced_accuracy": "balanced accuracy",
}
COLUMNS = ["scenario", "part", "model", "row", "score"]
DRAWS = 400
RATED = ("dev", "final")


def score(folder: Path, file: Path, replace: bool = False) -> list[str]:
    """Rate a submission, renew `board.html`, and return what to say. UsageError or MiaError where something is wrong.

    A name on the board keeps its scores: others take their place with `replace` only.
    """
    about = read_json(folder / "public" / PUBLIC, {})
    if not about:
        raise UsageError(f"{folder} holds no challenge: `challenge make` writes one")
    table = _read(file)
    unknown = sorted(set(table["scenario"]) - set(about["scenarios"]))
    if unknown:
        raise MiaError(f"{file.name}: there is no scenario {unknown[0]!r}; there are {', '.join(about['scenarios'])}")
    final = _unsealed(folder, about)
    told, kept = [], []
    for scenario in [name for name in about["scenarios"] if name in set(table["scenario"])]:
        rates = rated(folder, scenario, table[table["scenario"] == scenario], final[scenario], file.name)
        kept += [
            {"scenario": scenario, "measure": name, **{p: vars(rates[p][name]) for p in RATED}} for name in MEASURES
        ]
        for name, words in MEASURES.items():
            dev, last = (rates[part][name] for part in RATED)
            told.append(f"{scenario}, {words}: dev {dev.text()}, final {last.text()}")
    board = read_json(folder / "board.json", {})
    if not replace and file.stem in board and json.dumps(board[file.stem]) != json.dumps(kept):
        raise UsageError(
            f"{file.stem} is on the board with another submission: --replace takes this one instead, "
            "and somebody else's file needs a name of its own"
        )
    before = {row["scenario"] for row in board.get(file.stem, ())} - set(table["scenario"])
    if before:
        told.append(f"{file.stem} has no scores any more in {', '.join(sorted(before))}: this file has none")
    board[file.stem] = kept
    write_atomically(folder / "board.json", json.dumps(board, indent=1))
    write_atomically(folder / "board.html", rendered("board.html", **_board(board, about)))
    return [*told, f"Board: {folder / 'board.html'}"]


def _read(file: Path) -> pd.DataFrame:
    """The table of a submission with finite scores."""
    try:
        with every_cell():
            table = pd.read_csv(file, dtype={"scenario": str, "part": str}, index_col=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise MiaError(f"{file.name} cannot be read as a table: {error}") from None
    lacking = [name for name in COLUMNS if name not in table]
    if lacking:
        raise MiaError(f"{file.name} lacks the column {lacking[0]!r}; it needs {', '.join(COLUMNS)}")
    for name in COLUMNS[2:]:
        table[name] = pd.to_numeric(table[name], errors="coerce")
        bad = np.flatnonzero(~np.isfinite(table[name]))
        if len(bad):
            raise MiaError(f"{file.name}, row {bad[0] + 2}: {name} must be a finite number")
    return table


def _unsealed(folder: Path, about: dict) -> dict[str, np.ndarray]:
    """Who is a member in final, as it was sealed."""
    path = folder / "secret" / SEALED
    text = path.read_bytes()
    if hashlib.sha256(text).hexdigest() != about.get("sha256_of_final"):
        raise MiaError(f"{path} is not what was sealed: its digest is not the published one")
    rows = json.loads(text)["member"]
    return {name: np.array([[mark == "1" for mark in row] for row in models]) for name, models in rows.items()}


def rated(
    folder: Path, scenario: str, table: pd.DataFrame, final: np.ndarray, file: str
) -> dict[str, dict[str, Measure]]:
    """Rates of one scenario on dev and on final; the threshold of balanced accuracy is the best one on dev."""
    scores, members, speakers = {}, {}, {}
    for part in RATED:
        with np.load(folder / "public" / part / f"{file_name(scenario)}.npz", allow_pickle=False) as data:
            models, speakers[part] = data["model"], data["speaker"].astype(str)
            members[part] = final if part == "final" else data["member"]
        scores[part] = _arranged(
            table[table["part"] == part], models, len(speakers[part]), f"{file}: {scenario}, {part}"
        )
    threshold = best_threshold(scores["dev"].ravel(), members["dev"].ravel())
    rates = {}
    for part in RATED:
        rows = np.arange(len(speakers[part]))
        pairs = zip(scores[part], members[part], strict=True)
        audits = [Audit(one, member, speakers[part], threshold, rows) for one, member in pairs]
        rates[part] = evaluate(audits, DRAWS)
    return rates


def _arranged(table: pd.DataFrame, models: np.ndarray, rows: int, where: str) -> np.ndarray:
    """Scores [K, n] of one part; every model and row once, or MiaError."""
    wanted = len(models) * rows
    index = pd.MultiIndex.from_arrays([table["model"], table["row"]])
    if index.duplicated().any():
        model, row = index[index.duplicated()][0]
        raise MiaError(f"{where}: model {model:g}, row {row:g} is there twice")
    full = pd.MultiIndex.from_product([models, range(rows)])
    values = pd.Series(table["score"].to_numpy(), index=index).reindex(full)
    if values.isna().any() or len(table) != wanted:
        needed = f"one for each of {len(models)} models and {rows:,} rows"
        raise MiaError(f"{where}: has {len(table):,} scores where {wanted:,} are needed, {needed}")
    return values.to_numpy(float).reshape(len(models), rows)


def _board(board: dict, about: dict) -> dict[str, Any]:
    """What the page shows: per scenario and measure the submissions, best on final first."""
    tables = []
    for scenario in about["scenarios"]:
        for measure, words in MEASURES.items():
            rows = [
                {"name": name, **{p: Measure(**one[p]) for p in RATED}}
                for name, kept in board.items() for one in kept
                if one["scenario"] == scenario and one["measure"] == measure
            ]  # fmt: skip
            rows.sort(key=lambda row: -row["final"].value)
            if rows:
                tables.append({"scenario": scenario, "words": words, "rows": rows})
    return dict(title="The board", tables=tables, about=about, shown=_shown)


def _shown(measure: Measure) -> str:
    """A measure as HTML, its interval below."""
    found = re.fullmatch(r"([^\[]*)(\[.*\])?", measure.text())
    value, interval = (found[1].strip(), found[2]) if found else (measure.text(), None)
    return html.escape(value) + (f'<span class="interval">{html.escape(interval)}</span>' if interval else "")
