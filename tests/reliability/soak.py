"""Soak test, by hand: kills, damage, disk trouble and races; after each the same results.csv and nothing left behind.

python tests/reliability/soak.py [--kills 60] [--trainers 20] [--damage 40] [--disk 12] [--races 6] [--only 00,02] [--seed 0]

Rows of times are not compared. A trial has a fault where a run ended otherwise than it should, said anything but one
sentence, passed half of its numbers off as whole, or left something behind. Disk trouble needs the right to mount.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from damage import PARTS, STAGES, WAYS, part_file, stage_file
from disk import largest_file, own_disk, read_only, resize
from victim import End, Place, Work


class Soak:
    """A reference that nothing disturbed, a place to disturb, and a table of what came of it."""

    def __init__(self, folder: Path, only: str, seed: int):
        self.draw = random.Random(seed)
        self.reference, self.place = Place(folder / "reference", only), Place(folder / "disturbed", only)
        self.trials: Counter[str] = Counter()
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.begun = time.monotonic()
        end = self.reference.run()
        self.seconds, self.right = time.monotonic() - self.begun, self.reference.rows()
        if end.status or not self.right:
            raise SystemExit(f"the undisturbed run failed: {end.err}")
        print(f"undisturbed: {self.seconds:.0f} s, {len(self.right) - 1} rows", flush=True)

    def note(self, kind: str, faults: Iterable[str]) -> None:
        """One more trial of a kind, and what was wrong with it."""
        self.trials[kind] += 1
        found = list(faults)
        self.faults[kind] += found
        print(f"{time.monotonic() - self.begun:6.0f} s  {kind}: {'; '.join(found) or 'as it should be'}", flush=True)

    def judge(self, end: End, run_id: str = "tiny", fails: bool | None = False) -> list[str]:
        """The faults of a run that ended. fails: whether it had to fail; None: either way."""
        faults, rows = end.faults, self.place.rows(run_id)
        if fails is not None and bool(end.status) != fails:
            faults.append(f"status {end.status}: {end.err.strip()}")
        if not rows <= self.right or (not end.status and rows != self.right):
            faults.append(f"{len(rows - self.right)} wrong rows, {len(self.right - rows)} missing")
        return faults

    def finish(self, kind: str) -> None:
        """The same command, undisturbed: it goes on to the same numbers and leaves nothing behind."""
        self.note(kind, [*self.judge(self.place.run()), *self.place.left_behind()])

    def kills(self, count: int) -> None:
        """Kill the runner, a kernel or a worker at random moments, several times before a run may finish."""
        while sum(self.trials[f"kill a {who}"] for who in ("runner", "kernel", "worker")) < count:
            self.place.fresh()
            for _ in range(self.draw.randint(4, 8)):
                if not self.kill(self.draw.choices(("runner", "kernel", "worker"), (5, 4, 3))[0]):
                    break
            self.finish("completion after kills")

    def kill(self, who: str) -> bool:
        """One kill; False if the run came to its end before."""
        moment, started, fresh = self.draw.uniform(0.5, self.seconds), time.monotonic(), not self.place.outputs.exists()
        if who == "worker":  # they decode, at the beginning
            for stage in self.place.cache.glob("fragments-*"):
                shutil.rmtree(stage)
        work = self.place.start()
        if who == "worker":
            while work.going(0.05) and not work.part("worker"):
                pass
            moment = self.draw.uniform(0, 1)
        killed = work.kill(who) if work.going(moment) else ""
        end = work.end()
        if not killed:
            self.note("ended before a kill", self.judge(end))
            if fresh:  # the machine is less busy now
                self.seconds = min(self.seconds, time.monotonic() - started)
            return False
        gone = [f"{line} lives" for line in self.place.left_behind() if line.startswith("process")]
        self.note(f"kill a {killed}", [*([] if killed == "runner" else self.judge(end, fails=True)), *gone])
        return True

    def trainers(self, count: int) -> None:
        """Kill processes that train parts, at random moments: the run goes on. At times the runner, and it is run again."""
        while sum(self.trials[f"kill a {who} that trains"] for who in ("process", "runner")) < count:
            self.place.fresh()
            work, killed = self.place.start(more="--workers 2"), ""
            for _ in range(self.draw.randint(1, 2)):  # three times over one part would be too often
                while work.going(0.05) and not work.part("trainer"):
                    pass
                who = self.draw.choices(("trainer", "runner"), (4, 1))[0]
                if not work.going(self.draw.uniform(0, 1.5)) or (who == "trainer" and not work.part(who)):
                    continue
                killed = work.kill(who)
                self.note(f"kill a {'process' if killed == 'trainer' else killed} that trains", [])
                if killed == "runner":
                    break
            end = work.end()
            if killed != "runner":
                self.note("a run whose trainers were killed", [*self.judge(end), *self.place.left_behind()])
            self.finish("going on after trainers were killed")

    def damage(self, count: int) -> None:
        """Damage a file of each of four kinds of stages in the same way; or one file that a notebook left."""
        for way in list(WAYS)[: count // len(STAGES)]:
            self.place.fresh(like=self.reference)
            files = [stage_file(self.place.cache, kind, self.draw) for kind in STAGES]
            for file in files:
                WAYS[way](file, self.draw)
            shutil.rmtree(self.place.outputs / "tiny")
            end = self.place.run()
            faults = [*self.judge(end), *self.place.left_behind()]
            for file in files:
                said = f"stage {file.parent.name} was damaged and is computed again" in end.out
                self.note("damage to a stage", [*faults, *([] if said else [f"{way} of {file} was not said"])])
                faults = []
        for what, (pattern, spoil) in list(PARTS.items())[: max(0, count - len(WAYS) * len(STAGES))]:
            self.place.fresh(like=self.reference)
            file = part_file(self.place.outputs / "tiny", pattern, self.draw)
            spoil(file, self.draw)
            end = self.place.run()
            said = f"{file.relative_to(self.place.outputs / 'tiny')} was changed or damaged" in end.out
            faults = [*self.judge(end), *self.place.left_behind()]
            self.note("damage to what a notebook left", [*faults, *([] if said else [f"{what} was not said"])])

    def disk(self, count: int) -> None:
        """A full disk, a quota, a disk that can only be read, folders that are removed in the middle."""
        whole = sum(p.stat().st_size for p in self.reference.outputs.rglob("*") if p.is_file())
        trials = [(self.full, int(whole * share)) for share in (0.02, 0.2, 0.4, 0.6, 0.8)]
        trials += [(self.quota, size) for size in (20_000, 1_000_000)]
        trials += [(self.unwritable, None), (self.complete_but_read_only, None)]
        trials += [(self.removed, what) for what in ("", "tiny", "cache")]
        for trial, about in trials[:count]:
            self.place.fresh()
            trial(about)

    def full(self, size: int) -> None:
        with own_disk(self.place.outputs, f"{size // 1024}k"):
            self.note("a full disk", self.judge(self.place.run(), fails=True))
            resize(self.place.outputs, "4g")
            self.finish("going on after disk trouble")

    def quota(self, size: int) -> None:
        self.note("a quota", self.judge(self.place.run(limit=largest_file(size)), fails=True))
        self.finish("going on after disk trouble")

    def unwritable(self, _: object) -> None:
        self.place.outputs.mkdir()
        with read_only(self.place.outputs):
            self.note("a read-only disk", self.judge(self.place.run(), fails=True))
        self.finish("going on after disk trouble")

    def complete_but_read_only(self, _: object) -> None:
        self.place.fresh(like=self.reference)
        shutil.rmtree(self.place.outputs / "tiny")
        with read_only(self.place.cache):
            self.note("a complete cache that is read-only", self.judge(self.place.run()))

    def removed(self, what: str) -> None:
        work = self.place.start()
        if work.going(self.draw.uniform(0.3, 0.9) * self.seconds):
            shutil.rmtree(self.place.outputs / what, ignore_errors=True)
        self.note(f"{what or 'outputs'} removed in the middle", self.judge(work.end(), fails=None))
        self.finish("going on after disk trouble")

    def races(self, count: int) -> None:
        """Several runs at once, also with one that is killed, or while somebody prunes."""
        trials = [
            lambda: self.together("two runs on one cache", 2, 0),
            lambda: self.together("two runs on one cache", 2, 3),
            lambda: self.together("three runs on one cache", 3, 0),
            self.one_id,
            self.one_killed,
            self.pruning,
        ]
        for trial in trials[:count]:
            self.place.fresh()
            trial()

    def together(self, kind: str, runs: int, apart: float) -> None:
        works = []
        for number in range(runs):
            works.append((self.place.start(f"run{number}"), f"run{number}"))
            time.sleep(apart)
        self.all_right(kind, works)

    def all_right(self, kind: str, works: list[tuple[Work, str]]) -> None:
        ends = [(work.end(), run_id) for work, run_id in works]
        self.note(kind, [f for end, run_id in ends for f in self.judge(end, run_id)] + self.place.left_behind())

    def one_id(self) -> None:
        ends = [work.end() for work in [self.place.start() for _ in range(3)]]
        faults = [fault for end in ends for fault in self.judge(end, fails=None)]
        if sorted(end.status for end in ends) != [0, 1, 1]:
            faults.append(f"statuses {[end.status for end in ends]}")
        self.note("three runs of one id", [*faults, *self.place.left_behind()])

    def one_killed(self) -> None:
        first, second = self.place.start("run0"), self.place.start("run1")
        first.going(self.draw.uniform(0.2, 0.8) * self.seconds)
        first.kill("runner")
        first.end()
        self.all_right("two runs on one cache, one is killed", [(second, "run1"), (self.place.start("run0"), "run0")])

    def pruning(self) -> None:
        work, faults = self.place.start(), []
        while work.going(2):
            if self.place.cache.exists():
                faults += Work(self.place, "cache", ["--prune", "--outputs", str(self.place.outputs)]).end().faults
        self.note("pruning all the time", [*faults, *self.judge(work.end()), *self.place.left_behind()])

    def table(self) -> str:
        """What was tried how often, and how many faults there were."""
        rows = [f"{'trouble':<40}{'trials':>8}{'faults':>8}"]
        rows += [f"{kind:<40}{n:>8}{len(self.faults[kind]):>8}" for kind, n in self.trials.items()]
        return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    troubles = {"kills": 60, "trainers": 20, "damage": 40, "disk": 12, "races": 6}
    for name, count in troubles.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--only", default="00,02,04", help="notebooks")
    parser.add_argument("--seed", type=int, default=0, help="of moments and places")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        soak = Soak(Path(folder), options.only, options.seed)
        try:
            for name in troubles:
                getattr(soak, name)(getattr(options, name))
        finally:  # also where somebody has lost patience
            print(soak.table(), flush=True)


if __name__ == "__main__":
    main()
