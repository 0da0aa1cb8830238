"""Saved signals as a table: one row a recording or fragment, answers in numbered columns or, in parquet, in lists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mia_lib.corpora.people import opened_table
from mia_lib.support.errors import MiaError, brief
from mia_lib.support.spreadsheets import every_cell, is_number

if TYPE_CHECKING:
    import pandas as pd

ANSWERS = r"(reference_\d+_|copy_\d+_|control_|)(logit|posterior|embedding)s?"
"""Columns of answers: `logits_0`, `logits_1` ... (or `logit_0`), of reference model 3 `reference_3_logits_0`, of an altered
version `copy_0_logits_0`, of an unexposed model `control_logits_0`. A number less, a column of lists."""
PLAIN = ("label", "member", "speaker", "recording", "population", "sound")
AT_ONCE = 2**22
"""Values of a table that are read at once: of large ones no more than their numbers is ever in memory."""


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Arrays as `columns.evidence_of` takes them, of a `.csv` or `.parquet` file; `reference_3_member` says what reference
    model 3 trained on, `blind_0` ... are statistics of the sound. Raises MiaError naming the file and what is wrong."""
    parts: dict[str, list[np.ndarray]] = {}
    rows = 0
    for table in _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path):
        for name, values in arrays_of(table, path.name, rows).items():
            parts.setdefault(name, []).append(values)
        rows += len(table)
    return {name: _one_after_the_other(parts, name, path.name) for name in list(parts)}


def _one_after_the_other(parts: dict[str, list[np.ndarray]], name: str, called: str) -> np.ndarray:
    """An array from its parts, which are let go; those of several models or versions have rows on their second axis."""
    pieces = parts.pop(name)
    try:
        return np.concatenate(pieces, axis=1 if pieces[0].ndim > 2 or name == "reference_member" else 0)
    except ValueError:
        widths = sorted({piece.shape[-1] for piece in pieces})
        raise MiaError(f"{called}: {name} have {' and '.join(map(str, widths))} numbers in different rows") from None


def arrays_of(table: "pd.DataFrame", name: str, before: int = 0) -> dict[str, np.ndarray]:
    """The same of a table in memory, with `before` rows before it."""
    table = table.rename(columns=lambda column: str(column).strip())
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise MiaError(f"{name}: has two columns {twice[0]!r}")
    found: dict[str, np.ndarray] = {one: table[one].to_numpy() for one in PLAIN if one in table}
    groups = _groups(list(table.columns), name)
    if not any(of == "" for of, _ in groups):
        shown = ", ".join(map(str, table.columns[:8]))
        raise MiaError(f"{name}: has no columns of answers, such as logits_0, logits_1 and so on; it has {shown}")
    stacks: dict[str, dict[int, np.ndarray]] = {"reference": {}, "copies": {}}
    for (of, kind), columns in groups.items():
        values = _numbers(table, columns, name, before)
        number = int(re.sub(r"\D", "", of) or 0)
        if of.startswith("reference"):
            stacks["reference"][number] = values
        elif of.startswith("copy"):
            stacks["copies"][number] = values
        else:
            found["control" if of else kind] = values
    (kind,) = {kind for of, kind in groups if of == ""} or {""}
    if stacks["reference"]:
        order = sorted(stacks["reference"])
        found[f"reference_{kind}"] = _stacked([stacks["reference"][k] for k in order], "reference models", name)
        lacking = [f"reference_{k}_member" for k in order if f"reference_{k}_member" not in table]
        if lacking:
            raise MiaError(f"{name}: lacks the column {lacking[0]!r}, what reference model {order[0]} trained on")
        found["reference_member"] = np.stack([table[f"reference_{k}_member"].to_numpy() for k in order])
    if stacks["copies"]:
        found["copies"] = _stacked([stacks["copies"][q] for q in sorted(stacks["copies"])], "copies", name)
    blind = [column for column in table if re.fullmatch(r"blind_\w+", column)]
    if blind:
        found["blind"] = _numbers(table, blind, name, before)
    return found


def _stacked(parts: list[np.ndarray], what: str, name: str) -> np.ndarray:
    if len({part.shape for part in parts}) > 1:
        raise MiaError(f"{name}: {what} must all have the same number of columns of answers")
    return np.stack(parts)


def _groups(columns: list[str], name: str) -> dict[tuple[str, str], list[str]]:
    """(whose, kind) -> columns of answers in the order of their classes; raises MiaError where one is missing."""
    numbered: dict[tuple[str, str], dict[int, str]] = {}
    for column in columns:
        match = re.fullmatch(rf"{ANSWERS}(?:_(\d+))?", column)
        if match:
            of, kind, number = match.groups()
            numbered.setdefault((of, f"{kind}s"), {})[int(number or 0)] = column
    kinds = {kind for _, kind in numbered}
    if len(kinds) > 1:
        raise MiaError(
            f"{name}: must hold one of logits, posteriors and embeddings, and holds {' and '.join(sorted(kinds))}"
        )
    for (of, kind), found in numbered.items():
        missing = sorted(set(range(len(found))) - set(found))
        if missing:
            raise MiaError(
                f"{name}: lacks the column '{of}{kind}_{missing[0]}': answers are numbered from 0 without a gap"
            )
    return {key: [found[i] for i in range(len(found))] for key, found in numbered.items()}


def _numbers(table: "pd.DataFrame", columns: list[str], name: str, before: int) -> np.ndarray:
    """Columns as float [N, columns]; one column of lists as [N, their length]."""
    if table.empty:
        return np.empty((0, len(columns)))
    if len(columns) == 1 and isinstance(table[columns[0]].iloc[0], (list, np.ndarray)):
        return _lists(table[columns[0]], name, before)
    for column in columns:
        if table[column].dtype.kind not in "iufb":
            text = table[column].astype(str)
            wrong = next((i for i, value in enumerate(text) if not is_number(value)), 0)
            raise MiaError(
                f"{name}: {column} of row {before + wrong + 1} is {brief(text.iloc[wrong])}, not a number (write decimals "
                "with a point)"
            )
    values = table[columns]
    return values.to_numpy(
        np.result_type(*values.dtypes, np.float16) if values.dtypes.map(lambda d: d.kind == "f").all() else np.float64
    )


def _lists(column: "pd.Series", name: str, before: int) -> np.ndarray:
    """A column of lists of numbers, all of one length, as float [N, length]."""
    values = [np.asarray(one) for one in column]
    for row, one in enumerate(values, start=before + 1):
        if one.ndim != 1 or one.dtype.kind not in "iufb":
            raise MiaError(f"{name}: {column.name} of row {row} is no list of numbers")
        if len(one) != len(values[0]):
            raise MiaError(
                f"{name}: {column.name} of row {row} has {len(one)} numbers, and row {before + 1} {len(values[0])}"
            )
    return np.stack(values).astype(np.float64)


def _parquet(path: Path) -> Iterator["pd.DataFrame"]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            columns = max(1, file.metadata.num_columns)
            if not file.metadata.num_rows:
                yield file.schema_arrow.empty_table().to_pandas()
            for batch in file.iter_batches(max(1, AT_ONCE // columns)):
                yield batch.to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MiaError(f"{path.name}: cannot be read as a parquet file ({reason})") from None


def _csv(path: Path) -> Iterator["pd.DataFrame"]:
    """Separators and encodings by the rules of `corpora.people`; text stays as it is written, numbers keep all digits."""
    import pandas as pd

    kept = dict.fromkeys(("speaker", "recording", "sound"), str)
    try:
        with opened_table(path) as (text, separator, columns):
            parts = pd.read_csv(
                text, sep=separator, dtype=kept, keep_default_na=False, na_values={}, index_col=False,
                skipinitialspace=True, chunksize=max(1, AT_ONCE // columns),
            )  # fmt: skip
            while (part := _next(parts)) is not None:
                yield part
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MiaError(f"{path.name}: cannot be read as a table with a header line ({reason})") from None


def _next(parts: "Iterator[pd.DataFrame]") -> "pd.DataFrame | None":
    with every_cell():
        return next(parts, None)
