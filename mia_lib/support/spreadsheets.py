"""Tables as CSV that do no harm in a spreadsheet: text that would be taken for a formula begins with an apostrophe there."""

import re

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
