"""`speakers.csv`: what is known of the speakers of a folder, in whatever way spreadsheets write a table."""

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mia_lib.support.errors import MiaError
from mia_lib.support.files import check_file

SEPARATORS = ",;\t|"
NOT_UTF_8 = "{}: is not in UTF-8: save the table as UTF-8 (in Excel: 'CSV UTF-8')"


def read_people(path: Path) -> list[dict[str, str]]:
    """The rows of a table with a column `speaker`, by its column names in small letters.

    Separators are recognised, spaces around values dropped, and accents brought to one form (NFC). Raises MiaError, one
    sentence that names the file, for a table that cannot be understood.
    """
    text, separator = table_text(path)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True) if any(row)]
    except csv.Error as error:
        raise MiaError(f"{path}: cannot be read as a table with a header line ({error})") from None
    rows = [[unicodedata.normalize("NFC", value.strip()) for value in row] for row in rows]
    header = [name.lower() for name in rows[0]] if rows else []
    if "speaker" not in header:
        raise MiaError(
            f"{path}: needs a column 'speaker' holding the names of the speakers' folders; its first line, split at "
            f"{separator!r}, holds {', '.join(map(repr, rows[0][:8])) if rows else 'nothing'}"
        )
    return [dict(zip(header, [*row, *[""] * len(header)], strict=False)) for row in rows[1:]]


def genders(path: Path) -> dict[str, str]:
    """Speaker -> gender ("" where the table does not say); raises MiaError where two rows contradict each other."""
    found: dict[str, str] = {}
    for row in read_people(path):
        speaker, gender = row["speaker"], row.get("gender", "")
        if found.setdefault(speaker, gender) != gender:
            raise MiaError(f"{path}: two rows contradict each other on {speaker!r} ({found[speaker]!r} and {gender!r})")
    return found


def table_text(path: Path) -> tuple[str, str]:
    """The text of a table, and what separates its values: as its first line says (`sep=;`), else as the header shows.

    UTF-8 with or without a mark, or UTF-16 with one. Raises MiaError naming the file otherwise.
    """
    check_file(path)
    try:
        data = path.read_bytes()
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if utf16 else "utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise MiaError(NOT_UTF_8.format(path)) from None
    except OSError as error:
        raise MiaError(f"{path}: cannot be read ({error.strerror})") from None
    if "\0" in text:  # UTF-16 or UTF-32 without a mark
        raise MiaError(NOT_UTF_8.format(path))
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep="):
        return rest, first.strip()[4:5] or "\t"
    return text, separator_of(first)


@contextmanager
def opened_table(path: Path) -> Iterator[tuple[TextIO, str, int]]:
    """A table to be read line by line by the rules of `table_text`, what separates its values, and how many columns it has.
    Raises MiaError naming the file."""
    check_file(path)
    try:
        with open(path, "rb") as file:
            utf16 = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        with open(path, encoding="utf-16" if utf16 else "utf-8-sig") as text:
            header = text.readline()
            said = header.strip().lower().startswith("sep=")
            separator = (header.strip()[4:5] or "\t") if said else separator_of(header.rstrip("\n"))
            if not said:
                text.seek(0)
            yield text, separator, 1 + header.count(separator)
    except UnicodeDecodeError:
        raise MiaError(NOT_UTF_8.format(path)) from None
    except OSError as error:
        raise MiaError(f"{path}: cannot be read ({error.strerror})") from None


def separator_of(header: str) -> str:
    """What separates the names of a header line; a comma where nothing does."""
    if not any(mark in header for mark in SEPARATORS):
        return ","
    try:
        return csv.Sniffer().sniff(header, SEPARATORS).delimiter
    except csv.Error:
        return max(SEPARATORS, key=header.count)
