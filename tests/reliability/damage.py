"""Forty kinds of damage to what is kept: eight ways at each of four stages' files, and eight to what notebooks left."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

Spoil = Callable[[Path, random.Random], None]


def flip(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def cut(path: Path, draw: random.Random) -> None:
    os.truncate(path, draw.randrange(path.stat().st_size))


def zeros(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    start = draw.randrange(max(1, len(data) - 64))
    data[start : start + 64] = bytes(len(data[start : start + 64]))
    path.write_bytes(data if data != path.read_bytes() else data[:-1])


def garbage(path: Path, draw: random.Random) -> None:
    path.write_bytes(draw.randbytes(path.stat().st_size or 10))


def missing(path: Path, draw: random.Random) -> None:
    path.unlink()


def appended(path: Path, draw: random.Random) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def swapped(path: Path, draw: random.Random) -> None:
    """The folder of the file and another one exchange their names."""
    kind = path.parent.name.rpartition("-")[0]
    stages = [p for p in sorted(path.parent.parent.glob("*-*")) if p != path.parent]
    others = [p for p in stages if p.name.startswith(f"{kind}-")]
    others = others or [p for p in stages if not p.name.startswith(STAGES)]  # nothing is swapped back
    other, aside = draw.choice(others), path.parent.with_name("aside")
    for source, target in ((path.parent, aside), (other, path.parent), (aside, other)):
        shutil.move(source, target)


WAYS: dict[str, Spoil] = {
    spoil.__name__: spoil for spoil in (flip, cut, zeros, garbage, missing, appended, folder, swapped)
}
STAGES = ("fragments", "features", "model", "records")
PARTS: dict[str, tuple[str, Spoil]] = {
    "numbers, a bit flipped": ("parts/{}/results.csv", flip),
    "numbers, cut": ("parts/{}/results.csv", cut),
    "numbers, missing": ("parts/{}/results.csv", missing),
    "state, garbage": ("parts/{}/state.json", garbage),
    "context, a folder": ("parts/{}/context.json", folder),
    "a figure, garbage": ("figures/{}-*.png", garbage),
    "the notebook, cut": ("{}.ipynb", cut),
    "the notebook, missing": ("{}.ipynb", missing),
}


def stage_file(cache: Path, kind: str, draw: random.Random) -> Path:
    """A file, the manifest among them, of a stage of a kind."""
    stage = draw.choice([p for p in sorted(cache.glob(f"{kind}*-*")) if p.is_dir() and p.suffix != ".partial"])
    return draw.choice(sorted(stage.iterdir()))


def part_file(run: Path, pattern: str, draw: random.Random) -> Path:
    """A file of some notebook, by a pattern for all of them."""
    return draw.choice(sorted(run.glob(pattern.format("[0-9][0-9]_*"))))
