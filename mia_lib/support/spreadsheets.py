"""Tables as CSV that do no harm in a spreadsheet: text that would be taken for a formula begins with an apostrophe there;
and tables from there, of which no cell is lost."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd

FORMULA = r"'*[=+\-@\t\r\n＝＋－＠]"


def is_number(text: str) -> bool:
    """Whether a text is written as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _guarded(cell):
    formula = isinstance(cell, str) and re.match(FORMULA, cell) and not is_number(cell)
    return f"'{cell}" if formula else cell


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV; numbers stay numbers."""
    return table.map(_guarded).to_csv(index=False, lineterminator="\n")


def as_it_was(table: pd.DataFrame) -> pd.DataFrame:
    """What was read from such a file, without the apostrophes."""
    return table.map(lambda cell: cell[1:] if isinstance(cell, str) and re.match(f"'{FORMULA}", cell) else cell)


@contextmanager
def every_cell() -> Iterator[None]:
    """For the block in which pandas reads a table with `index_col=False`: raises ValueError where rows have more cells than
    the header line, as with decimal commas between commas. Otherwise the last ones would be dropped."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            yield
        except pd.errors.ParserWarning:
            raise ValueError(
                "rows have more cells than the header line, as where decimals are written with commas"
            ) from None
