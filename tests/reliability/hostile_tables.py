"""Small corpora whose tables and indexes are damaged: speakers.csv, SPEAKERS.TXT and the index of VOiCES."""

import csv
import io
from pathlib import Path

import numpy as np
from corpora.trees import VOICES_COLUMNS, librispeech_tree, tone, voices_row, write

from mia_lib.corpora import open_corpus
from mia_lib.corpora.base import Corpus, Survey

CELLS = (
    *("", " ", "0", "-1", "0.5", "1e400", "inf", "nan", "NA", "null", "None", "true", "9" * 400, "x" * 70_000),
    *(
        '"',
        '""',
        'a"b',
        "a,b",
        "a;b",
        "a\tb",
        "a|b",
        "a\nb",
        "a\r\nb",
        "\x00",
        "\ufeff",
        "\u202e",
        "é",
        "e\u0301",
        "😀",
    ),
    *(
        "../../../etc/passwd",
        "/dev/zero",
        "/",
        ".",
        "..",
        "=1+1",
        "<b>",
        "$x$",
        "%s",
        "{0}",
        "\\",
        "\x1b[31m",
        "-rf",
        "~",
    ),
)
KINDS = ("folder", "librispeech", "voices")


def tree(root: Path) -> Path:
    """One corpus of each kind with a few short recordings."""
    for speaker in range(4):
        write(root / "folder" / f"s{speaker}" / "a.wav", tone(0.1))
    librispeech_tree(root, speakers=2, each=1)
    for row in _voices_rows():
        write(root / "VOiCES_devkit" / row["filename"], tone(0.1))
    (root / "VOiCES_devkit" / "references").mkdir(parents=True)
    return root


def _voices_rows() -> list[dict]:
    return [voices_row(i, 30 + i // 2, i, f"rm{1 + i % 2}", 1 + i, "none", 30 * i) for i in range(6)]


def _table(kind: str) -> tuple[str, list[list[str]], str]:
    """Where a table lies below the root, its rows with the header, and what separates cells."""
    if kind == "folder":
        return (
            "folder/speakers.csv",
            [["speaker", "gender", "age"], *([f"s{i}", "FM"[i % 2], "30"] for i in range(4))],
            ",",
        )
    if kind == "librispeech":
        rows = [[f"{s:<5}", " F ", " dev-clean ", " 8.0 ", " A Name"] for s in (100, 101)]
        return "LibriSpeech/SPEAKERS.TXT", [[";ID  ", "SEX", " SUBSET ", "MINUTES", " NAME"], *rows], "|"
    rows = [[str(row[name]) for name in VOICES_COLUMNS] for row in _voices_rows()]
    return "VOiCES_devkit/references/train_index.csv", [list(VOICES_COLUMNS), *rows], ","


def _reshaped(rows: list[list[str]], rng: np.random.Generator) -> list[list[str]]:
    """Cells exchanged, rows and columns doubled, dropped or cut."""
    for _ in range(rng.integers(1, 4)):
        i = int(rng.integers(len(rows)))
        j = int(rng.integers(max(1, len(rows[i]))))
        what = rng.integers(7)
        if what <= 2:
            rows[i][j : j + 1] = [CELLS[rng.integers(len(CELLS))]]
        elif what == 3:
            rows.insert(i, list(rows[i]))
        elif what == 4 and len(rows) > 1:
            del rows[i]
        elif what == 5:
            rows[i] = rows[i][:j]
        else:
            rows = (
                [[*row[:j], *row[j + 1 :]] for row in rows]
                if rng.random() < 0.5
                else [[*r, *r[j : j + 1]] for r in rows]
            )
    return rows


def _bytes(rows: list[list[str]], separator: str, rng: np.random.Generator) -> bytes:
    """The table as text in some encoding, with some bytes damaged."""
    file = io.StringIO()
    if rng.random() < 0.15:
        separator = str(rng.choice([",", ";", "\t", "|"]))
    writer = csv.writer(
        file, delimiter=separator, quoting=csv.QUOTE_MINIMAL, lineterminator=str(rng.choice(["\n", "\n", "\r\n", "\r"]))
    )
    writer.writerows(rows)
    text = file.getvalue()
    encoding = str(rng.choice([*["utf-8"] * 7, "utf-8-sig", "utf-16", "latin-1"]))
    data = bytearray(text.encode(encoding, "replace"))
    what = rng.integers(9)
    if what == 0 and data:
        for place in rng.integers(0, len(data), rng.integers(1, 9)):
            data[place] = rng.integers(256)
    elif what == 1:
        data = data[: int(rng.integers(0, len(data) + 1))]
    elif what == 2:
        data += rng.bytes(int(rng.integers(1, 2_000)))
    return bytes(data)


def damage(root: Path, number: int) -> tuple[str, Corpus]:
    """Write the damaged table that follows from `number` into a tree; returns its kind and the corpus to be read."""
    rng, kind = np.random.default_rng([number, 7]), KINDS[number % len(KINDS)]
    place, rows, separator = _table(kind)
    (root / place).write_bytes(_bytes(_reshaped([list(row) for row in rows], rng), separator, rng))
    names = {"folder": f"folder:{root / 'folder'}", "librispeech": "librispeech:dev-clean", "voices": "voices:devkit"}
    return kind, open_corpus(names[kind], root)


def uncounted(corpus: Corpus, survey: Survey) -> int:
    """How many recordings of a tree are neither in the table nor passed over."""
    known = {*survey.table["path"], *(one.path for one in survey.passed)}
    sounds = (
        path.relative_to(corpus.root).as_posix() for end in ("wav", "flac") for path in corpus.root.rglob(f"*.{end}")
    )
    return sum(path not in known for path in sounds if not path.startswith("source"))
