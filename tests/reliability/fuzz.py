"""Damaged audio files and tables through the loaders, each with limits of time and memory: by hand.

    PYTHONPATH=tests python tests/reliability/fuzz.py [--audio 20000] [--tables 2000] [--seed 0] [--workers 2]

Prints what became of them by format, and exits with 1 if anything crashed, hung, took more than MEMORY or ended in anything
but a sentence, or if a recording of a tree was not counted. What follows from a number can be had again with `--only NUMBER`.
"""

import argparse
import multiprocessing
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

from reliability.hostile_audio import Seed, mutated, seeds
from reliability.hostile_tables import damage, tree, uncounted

from mia_lib.corpora import Utterance, open_corpus
from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.fragments.accounts import BAD
from mia_lib.fragments.cutting import cut_chunk
from mia_lib.support.errors import MiaError

SECONDS, MEMORY = 5.0, 500  # of a core, that a file may take; MB
PATIENCE = 60.0  # seconds after which a worker counts as hanging, however busy the machine is
ADDRESSES = 4 << 30  # of a worker, with all its libraries
NOTICED = 0.1  # seconds of sound that may be missing without a word
FAULTS = ("exception", "over time", "over memory", "crash", "uncounted")


class Outcome(NamedTuple):
    """What became of one damaged file."""

    number: int
    kind: str  # the format, or which table
    fate: str  # decoded, read, bad, or one of FAULTS
    why: str = ""  # the reason, without names and numbers
    silent: bool = False  # cut, and nothing said


def reason(sentence: str) -> str:
    """What a sentence says, whatever file it is about."""
    words = re.split(r" \(|;|: ", sentence.partition(": ")[2] or sentence)[0]
    return re.sub(r"\d+(\.\d+)?", "N", re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S*", "…", words)).strip()[:90]


def hear(folder: Path, seed: Seed, number: int) -> Outcome:
    """One damaged audio file, decoded and cut as those of a corpus are."""
    damage_done, damaged = mutated(seed, number)
    path = folder / "speaker" / f"{number % 8}{seed.ending}"
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f"._{path.name}")
    path.write_bytes(damaged.data)
    if seed.fork:
        beside.write_bytes(damaged.fork)
    corpus, row = open_corpus(f"folder:{folder}"), Utterance("u", "speaker", "u", f"speaker/{path.name}")
    label = f"{seed.form} {seed.coding}"
    try:
        (cut,) = cut_chunk(corpus, SAMPLE_RATE // 10, SAMPLE_RATE // 10, "pad", [row])
    except Exception as error:  # the very thing that is looked for
        return Outcome(number, label, "exception", f"{type(error).__name__}: {error}"[:200])
    finally:
        path.unlink()
        beside.unlink(missing_ok=True)
    if bool(cut.bad) != (cut.fate == BAD):
        return Outcome(number, label, "uncounted", cut.fate)
    if cut.bad:
        return Outcome(number, label, "bad", reason(cut.bad))
    heard = (max(cut.places, default=-1) + 1) / 10
    said = cut.silent or "shorter" in cut.notes or heard >= seed.seconds - NOTICED - 0.1
    return Outcome(number, label, "decoded", damage_done, damage_done == "truncated" and not said)


def look(folder: Path, number: int) -> Outcome:
    """One damaged table, read as that of a corpus is."""
    kind, corpus = damage(folder, number)
    try:
        missed = uncounted(corpus, corpus.survey())
    except MiaError as error:
        return Outcome(number, kind, "bad", reason(str(error)))
    except Exception as error:  # the very thing that is looked for
        return Outcome(number, kind, "exception", f"{type(error).__name__}: {error}"[:200])
    return Outcome(number, kind, "uncounted", str(missed)) if missed else Outcome(number, kind, "read")


def peak() -> int:
    """The largest size of this process since it was last asked, in MB; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return 0
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) // 1000


def serve(tasks: Connection) -> None:
    """In a worker: take numbers, send outcomes; what would take too much memory is refused by the system."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    known, folder = tasks.recv()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        tables = tree(Path(own) / "tables")
        (Path(own) / "audio").mkdir()
        hear(Path(own) / "audio", known[0], 0)  # loads libraries
        peak()
        while (task := tasks.recv()) is not None:
            what, number = task
            begun, before = time.process_time(), peak()
            if what == "audio":
                outcome = hear(Path(own) / "audio", known[number % len(known)], number)
            else:
                outcome = look(tables, number)
            if (spent := time.process_time() - begun) > SECONDS:
                outcome = outcome._replace(fate="over time", why=f"{spent:.1f} s")
            elif peak() > max(MEMORY, before):
                outcome = outcome._replace(fate="over memory", why="MB")
            tasks.send(outcome)
    tasks.send(None)


class Worker:
    """A process that is replaced when it crashes or hangs."""

    def __init__(self, known: list[Seed], folder: Path):
        context = multiprocessing.get_context("spawn")
        self.known, self.folder = known, folder
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.pipe.send((known, folder))
        self.task: tuple[str, int] = ("", -1)
        self.until = 0.0

    def give(self, task: tuple[str, int]) -> None:
        self.task, self.until = task, time.monotonic() + PATIENCE * (1 + (self.until == 0))
        self.pipe.send(task)

    def lost(self, fate: str) -> Outcome:
        """What became of the task of a process that is gone, or is ended now."""
        self.process.kill()
        self.process.join()
        what, number = self.task
        kind = f"{self.known[number % len(self.known)][:2]}" if what == "audio" else what
        return Outcome(number, kind, fate, f"status {self.process.exitcode}")


def outcomes(tasks: Iterable[tuple[str, int]], known: list[Seed], count: int, folder: Path) -> Iterator[Outcome]:
    """What becomes of all tasks, in any order, at most `count` of them at a time."""
    waiting, busy = iter(tasks), {}

    def employ(worker: Worker) -> None:
        if (task := next(waiting, None)) is not None:
            worker.give(task)
            busy[worker.pipe] = worker
        else:
            worker.process.kill()

    for _ in range(count):
        employ(Worker(known, folder))
    while busy:
        for pipe in wait(list(busy), timeout=1.0):
            worker = busy.pop(pipe)
            try:
                yield pipe.recv()
            except (EOFError, ConnectionError):
                yield worker.lost("crash")
                worker = Worker(known, folder)
            employ(worker)
        for pipe in [pipe for pipe, worker in busy.items() if time.monotonic() > worker.until]:
            yield busy.pop(pipe).lost("over time")
            employ(Worker(known, folder))


def report(found: Iterable[Outcome]) -> bool:
    """Print what became of everything; returns whether nothing is at fault."""
    by: dict[str, Counter] = defaultdict(Counter)
    reasons: Counter = Counter()
    faults = []
    for outcome in found:
        form = outcome.kind.partition(" ")[0]
        by[form].update(["files", outcome.fate, *["cut unseen"] * outcome.silent])
        if outcome.fate == "bad":
            reasons[outcome.why] += 1
        if outcome.fate in FAULTS:
            faults.append(outcome)
    columns = ("files", "decoded", "read", "bad", *FAULTS, "cut unseen")
    print(f"{'':12}" + "".join(f"{name:>12}" for name in columns))
    total: Counter = sum(by.values(), Counter())
    for form, counts in [*sorted(by.items()), ("all", total)]:
        print(f"{form:12}" + "".join(f"{counts[name]:12,}" for name in columns))
    print("\nnamed bad:", *(f"{count:8,}  {why}" for why, count in reasons.most_common(40)), sep="\n")
    if faults:
        print("\nat fault:", *(f"{one.number:8}  {one.kind}: {one.fate}, {one.why}" for one in faults[:60]), sep="\n")
    return not faults


def main() -> int:
    parser = argparse.ArgumentParser(description="Damaged audio files and tables through the loaders.")
    parser.add_argument("--audio", type=int, default=20_000)
    parser.add_argument("--tables", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="this number alone, in this process")
    asked = parser.parse_args()
    known, first = seeds(asked.seed), asked.seed * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        if asked.only is not None:
            print(hear(Path(folder), known[asked.only % len(known)], asked.only))
            print(look(tree(Path(folder) / "tables"), asked.only))
            return 0
        tasks = [("audio", first + i) for i in range(asked.audio)] + [("table", first + i) for i in range(asked.tables)]
        print(f"{len(known)} files of {len({one.form for one in known})} containers are damaged")
        return 0 if report(outcomes(tasks, known, asked.workers, Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
