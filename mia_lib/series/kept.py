"""What is kept from run to run: the stages of the cache, which runs rest on them, and the removal of those that none does.

Who reads or makes a stage notes its name first: a notebook in `parts/<notebook>/uses.txt` of its run, the runner in the run's
own `uses.txt`. A stage that is in no such file is needed by nobody.
"""

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mia_lib.series.workplace import LOCK, USES, in_progress
from mia_lib.support.cache import LEFT_OVER, LOCKS, Cache, last_used
from mia_lib.support.errors import MiaError
from mia_lib.support.files import check_file

STAGE = re.compile(r"-[0-9a-f]{16}(\.partial)?$")


@dataclass(frozen=True)
class Kept:
    """A stage of the cache; what is still being made, or was interrupted, is not `finished`."""

    name: str
    size: int  # bytes
    used: float  # when it was last asked for, in seconds since 1970
    runs: tuple[str, ...]  # that rest on it
    finished: bool = True

    @property
    def kind(self) -> str:
        """Its name without the key."""
        return self.name.removesuffix(".partial").rpartition("-")[0] + ("" if self.finished else ", unfinished")


def runs(outputs: Path) -> Iterator[Path]:
    """The folders of runs, also of notebooks that were opened by hand and of those in a sweep."""
    signs = [f"{where}/{sign}" for sign in ("parts", USES, LOCK) for where in ("*", "*/*")]
    yield from sorted({path.parent for sign in signs for path in outputs.glob(sign)})


def uses(outputs: Path) -> dict[str, set[str]]:
    """Stage -> the runs that rest on it."""
    found = defaultdict(set)
    for run in runs(outputs):
        for journal in (run / USES, *run.glob(f"parts/*/{USES}")):
            check_file(journal)
            if journal.exists():
                for name in journal.read_text(encoding="utf-8", errors="replace").split():
                    found[name].add(run.relative_to(outputs).as_posix())
    return found


def stages(outputs: Path) -> list[Kept]:
    """The stages in the cache of an outputs folder, and nothing else that lies there. Raises MiaError if there is none."""
    root, who = outputs / "cache", uses(outputs)
    if not (root / LOCKS).is_dir():
        raise MiaError(f"there is no cache in {outputs}: --outputs names the folder that holds it")
    return [_kept(p, who) for p in sorted(root.iterdir()) if STAGE.search(p.name) and p.is_dir()]


def _kept(path: Path, who: dict[str, set[str]]) -> Kept:
    """What is said of one folder; it may go, or grow, meanwhile."""
    finished, size, used = path.suffix != ".partial", 0, time.time()
    try:
        used = last_used(path)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    except OSError:
        pass
    return Kept(path.name, size, used, tuple(sorted(who.get(path.name.removesuffix(".partial"), ()))), finished)


def prune(outputs: Path) -> list[Kept]:
    """Remove the stages that no run rests on, and return them.

    What is asked for meanwhile stays, and so does what is being made. While a run is in progress, what was used within a
    day stays as well: what it will ask for next is not known.
    """
    begun = time.time() - 1  # clocks of file systems are a little coarse
    busy = any(in_progress(run) for run in runs(outputs))
    useless = _useless(stages(outputs))
    cache = Cache(outputs / "cache")
    return [stage for stage in useless if cache.discard(stage.name, begun - (LEFT_OVER if busy else 0))]


def _useless(kept: Iterable[Kept]) -> list[Kept]:
    return [stage for stage in kept if stage.finished and not stage.runs]


def overview(folder: str) -> Iterator[str]:
    """Lines on all that is kept in an outputs folder."""
    outputs = Path(os.path.realpath(os.path.expanduser(folder)))
    kept = stages(outputs)
    yield f"{outputs / 'cache'}: {len(kept):,} stages, {size(total(kept))}"
    yield from _table(kept)
    for run in runs(outputs):
        if not list(run.glob(f"**/{USES}")) and list(run.glob("parts/*")):
            yield f"{run.name} does not say what it rests on, as it was made before that was noted: run it again first"
    useless = _useless(kept)
    yield f"No run rests on {len(useless):,} stages, {size(total(useless))}: --prune removes them"
    if any(not stage.finished for stage in kept):
        yield "Unfinished work is gone on with, or removed when nobody has touched it for a day"


def pruned(folder: str) -> Iterator[str]:
    """Remove what no run rests on from the cache of an outputs folder; lines on what was removed."""
    gone = prune(Path(os.path.expanduser(folder)))
    yield from _table(gone)
    yield f"Removed {len(gone):,} stages, {size(total(gone))}"


def _table(kept: Iterable[Kept]) -> list[str]:
    """Stages of one kind on which the same runs rest in one line, the largest first."""
    now, groups = time.time(), defaultdict(list)
    for stage in kept:
        groups[stage.kind, stage.runs].append(stage)
    rows = [("", "stages", "size", "last used", "runs that rest on it")]
    for (kind, names), group in sorted(groups.items(), key=lambda item: -total(item[1])):
        age = now - max(stage.used for stage in group)
        rows.append((kind, f"{len(group):,}", size(total(group)), ago(age), ", ".join(names) or "none"))
    if len(rows) == 1:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return [
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {c:>{w}}" for c, w in zip(row[1:4], widths[1:], strict=True))
        + f"  {row[4]}"
        for row in rows
    ]


def total(kept: Iterable[Kept]) -> int:
    """Bytes of several stages."""
    return sum(stage.size for stage in kept)


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def ago(seconds: float) -> str:
    """A span of time in its largest unit."""
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {name} ago"
    return "now"
