"""Soak test, by hand: kills, damage, disk trouble and races; after each the same results.csv and nothing left behind.

python tests/reliability/soak.py [--kills 60] [--trainers 20] [--damage 40] [--disk 12] [--races 6] [--only 01,02,04]
    [--seed 0] [--folder FOLDER --minutes M]

Rows of times are not compared. A trial has a fault where a run ended otherwise than it should, said anything but one
sentence, passed half of its numbers off as whole, or left something behind. Disk trouble needs the right to mount.
In a --folder that is kept, the same command goes on where it stopped after M --minutes.
"""

import argparse
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from damage import PARTS, STAGES, WAYS, part_file, stage_file
from disk import largest_file, own_disk, read_only, resize
from tally import Tally
from victim import End, Place, Work

Step = Callable[[], None]


class Soak:
    """A reference that nothing disturbed, a place to disturb, and a table of what came of it."""

    def __init__(self, folder: Path, only: str, seed: int, minutes: float):
        folder.mkdir(parents=True, exist_ok=True)
        self.reference, self.place = Place(folder / "reference", only), Place(folder / "disturbed", only)
        self.tally, self.minutes = Tally(folder / "tally.json"), minutes
        self.draw = random.Random(f"{seed} {sum(self.tally.trials.values())}")
        self.place.fresh()
        end = self.reference.run()
        self.seconds, self.right = self.tally.seconds, self.reference.rows()
        if end.status or not self.right:
            raise SystemExit(f"the undisturbed run failed: {end.err}")
        # A folder that is kept may hold stages of the code as it was in an earlier piece. No run reads them, so that damage
        # to one is not said; and with them the outputs are larger than the disk that a run fills.
        self.reference.prune()
        print(f"undisturbed: {self.seconds:.0f} s, {len(self.right) - 1} rows", flush=True)

    def late(self) -> bool:
        """Whether nothing more should begin in this piece."""
        return self.tally.seconds > 60 * self.minutes

    def carry_out(self, trouble: str, count: int) -> None:
        """The steps of a kind of trouble that are not done yet, as far as the time goes."""
        steps: Iterable[Step] = getattr(self, trouble)(count)
        for step in islice(steps, self.tally.steps[trouble], None):
            if self.late():
                return
            step()
            self.tally.step(trouble)

    def judge(self, end: End, run_id: str = "tiny", fails: bool | None = False) -> list[str]:
        """The faults of a run that ended. fails: whether it had to fail; None: either way."""
        faults, rows = end.faults, self.place.rows(run_id)
        if fails is not None and bool(end.status) != fails:
            why = [line.strip() for line in end.out.splitlines() if re.search(r"failed|died|Error", line)]
            faults.append(f"status {end.status}: {end.err.strip()} ({'; '.join(why)})")
        if not rows <= self.right or (not end.status and rows != self.right):
            faults.append(f"{len(rows - self.right)} wrong rows, {len(self.right - rows)} missing")
        return faults

    def finish(self, kind: str) -> None:
        """The same command, undisturbed: it goes on to the same numbers and leaves nothing behind."""
        self.tally.note(kind, [*self.judge(self.place.run()), *self.place.left_behind()])

    def kills(self, count: int) -> Iterator[Step]:
        """Kill the runner, a kernel or a worker at random moments, several times before a run may finish."""
        while self.tally.begins("kill a ") < count:
            yield self.killed_often

    def killed_often(self) -> None:
        self.place.fresh()
        for _ in range(self.draw.randint(4, 8)):
            if self.late() or not self.kill(
                self.draw.choices(("runner", "kernel", "nursery", "worker"), (5, 3, 1, 3))[0]
            ):
                break
        self.finish("completion after kills")

    def kill(self, who: str) -> bool:
        """One kill; False if the run came to its end before."""
        moment = self.draw.uniform(0.5, self.seconds)
        if who == "worker":  # they decode, at the beginning
            for stage in self.place.cache.glob("fragments-*"):
                shutil.rmtree(stage)
        work = self.place.start()
        if who == "worker":
            while work.going(0.05) and not work.parts("worker"):
                pass
            moment = self.draw.uniform(0, 1)
        beside = (
            " while notebooks run beside each other" if work.going(moment) and len(work.parts("kernel")) > 1 else ""
        )
        killed = work.kill(who, self.draw)
        end = work.end()
        if not killed:
            self.tally.note("ended before a kill", self.judge(end))
            return False
        gone = [f"{line} lives" for line in self.place.left_behind() if line.startswith("process")]
        self.tally.note(
            f"kill a {killed}{beside}", [*([] if killed == "runner" else self.judge(end, fails=True)), *gone]
        )
        return True

    def trainers(self, count: int) -> Iterator[Step]:
        """Kill processes that train parts, at random moments: the run goes on. At times the runner, and it is run again."""
        while self.tally.begins("training, kill a ") < count:
            yield self.killed_in_training

    def killed_in_training(self) -> None:
        self.place.fresh()
        work, killed = self.place.start(more="--workers 2"), ""
        for _ in range(self.draw.randint(1, 2)):  # three times over one part would be too often
            while work.going(0.05) and not work.parts("trainer"):
                pass
            who = self.draw.choices(("trainer", "runner"), (4, 1))[0]
            if not work.going(self.draw.uniform(0, 1.5)) or (who == "trainer" and not work.parts(who)):
                continue
            killed = work.kill(who, self.draw)
            self.tally.note(f"training, kill a {killed}")
            if killed == "runner":
                break
        end = work.end()
        if killed != "runner":
            self.tally.note("a run whose trainers were killed", [*self.judge(end), *self.place.left_behind()])
        self.finish("completion after trainers were killed")

    def damage(self, count: int) -> Iterator[Step]:
        """Damage a file of each of four kinds of stages in the same way; or one file that a notebook left."""
        yield from (partial(self.damaged_stages, way) for way in list(WAYS)[: count // len(STAGES)])
        yield from (partial(self.damaged_part, what) for what in list(PARTS)[: max(0, count - len(WAYS) * len(STAGES))])

    def damaged_stages(self, way: str) -> None:
        self.place.fresh(like=self.reference)
        files = [stage_file(self.place.cache, kind, self.draw) for kind in STAGES]
        for file in files:
            WAYS[way](file, self.draw)
        shutil.rmtree(self.place.outputs / "tiny")
        end = self.place.run()
        faults = [*self.judge(end), *self.place.left_behind()]
        for file in files:
            said = f"stage {file.parent.name} was damaged and is computed again" in end.out
            self.tally.note(f"damage to a stage: {way}", [*faults, *([] if said else [f"that of {file} was not said"])])
            faults = []

    def damaged_part(self, what: str) -> None:
        pattern, spoil = PARTS[what]
        self.place.fresh(like=self.reference)
        file = part_file(self.place.outputs / "tiny", pattern, self.draw)
        spoil(file, self.draw)
        end = self.place.run()
        said = f"{file.relative_to(self.place.outputs / 'tiny')} was changed or damaged" in end.out
        faults = [*self.judge(end), *self.place.left_behind()]
        self.tally.note("damage to what a notebook left", [*faults, *([] if said else [f"{what} was not said"])])

    def disk(self, count: int) -> Iterator[Step]:
        """A full disk, a quota, a disk that can only be read, folders that are removed in the middle."""
        whole = sum(p.stat().st_size for p in self.reference.outputs.rglob("*") if p.is_file())
        trials: list[Step] = [partial(self.full, int(whole * share)) for share in (0.02, 0.2, 0.4, 0.6, 0.8)]
        trials += [partial(self.quota, size) for size in (20_000, 1_000_000)]
        trials += [self.unwritable, self.complete_but_read_only]
        trials += [partial(self.removed, what) for what in ("", "tiny", "cache")]
        yield from trials[:count]

    def full(self, size: int) -> None:
        self.place.fresh()
        with own_disk(self.place.outputs, f"{size // 1024}k"):
            self.tally.note("a full disk", self.judge(self.place.run(), fails=True))
            resize(self.place.outputs, "4g")
            self.finish("completion after disk trouble")

    def quota(self, size: int) -> None:
        self.place.fresh()
        self.tally.note("a quota", self.judge(self.place.run(limit=largest_file(size)), fails=True))
        self.finish("completion after disk trouble")

    def unwritable(self) -> None:
        self.place.fresh()
        self.place.outputs.mkdir()
        with read_only(self.place.outputs):
            self.tally.note("a read-only disk", self.judge(self.place.run(), fails=True))
        self.finish("completion after disk trouble")

    def complete_but_read_only(self) -> None:
        self.place.fresh(like=self.reference)
        shutil.rmtree(self.place.outputs / "tiny")
        with read_only(self.place.cache):
            self.tally.note("a complete cache that is read-only", self.judge(self.place.run()))

    def removed(self, what: str) -> None:
        self.place.fresh()
        work = self.place.start()
        if work.going(self.draw.uniform(0.3, 0.9) * self.seconds):
            shutil.rmtree(self.place.outputs / what, ignore_errors=True)
        self.tally.note(f"{what or 'outputs'} removed in the middle", self.judge(work.end(), fails=None))
        self.finish("completion after disk trouble")

    def races(self, count: int) -> Iterator[Step]:
        """Several runs at once, also with one that is killed, or while somebody prunes."""
        trials: list[Step] = [
            partial(self.together, "two runs on one cache", 2, 0),
            partial(self.together, "two runs on one cache", 2, 3),
            partial(self.together, "three runs on one cache", 3, 0),
            self.one_id,
            self.one_killed,
            self.pruning,
        ]
        yield from trials[:count]

    def together(self, kind: str, runs: int, apart: float) -> None:
        self.place.fresh()
        works = []
        for number in range(runs):
            works.append((self.place.start(f"run{number}"), f"run{number}"))
            time.sleep(apart)
        self.all_right(kind, works)

    def all_right(self, kind: str, works: list[tuple[Work, str]]) -> None:
        ends = [(work.end(), run_id) for work, run_id in works]
        faults = [fault for end, run_id in ends for fault in self.judge(end, run_id)]
        self.tally.note(kind, [*faults, *self.place.left_behind()])

    def one_id(self) -> None:
        self.place.fresh()
        ends = [work.end() for work in [self.place.start() for _ in range(3)]]
        faults = [fault for end in ends for fault in self.judge(end, fails=None)]
        if sorted(end.status for end in ends) != [0, 1, 1]:
            faults.append(f"statuses {[end.status for end in ends]}")
        self.tally.note("three runs of one id", [*faults, *self.place.left_behind()])

    def one_killed(self) -> None:
        self.place.fresh()
        first, second = self.place.start("run0"), self.place.start("run1")
        first.going(self.draw.uniform(0.2, 0.8) * self.seconds)
        first.kill("runner", self.draw)
        first.end()
        self.all_right("two runs on one cache, one is killed", [(second, "run1"), (self.place.start("run0"), "run0")])

    def pruning(self) -> None:
        self.place.fresh()
        work, faults = self.place.start(), []
        while work.going(2):
            if self.place.cache.exists():
                faults += self.place.prune().faults
        self.tally.note("pruning all the time", [*faults, *self.judge(work.end()), *self.place.left_behind()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    troubles = {"kills": 60, "trainers": 20, "damage": 40, "disk": 12, "races": 6}
    for name, count in troubles.items():
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--only", default="01,02,04", help="notebooks")
    parser.add_argument("--seed", type=int, default=0, help="of moments and places")
    parser.add_argument("--folder", type=Path, help="is kept, with what was done so far")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="nothing more begins after these")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        soak = Soak(options.folder or Path(folder), options.only, options.seed, options.minutes)
        try:
            for name in troubles:
                soak.carry_out(name, getattr(options, name))
        finally:  # also where somebody has lost patience
            print(soak.tally.table(), flush=True)


if __name__ == "__main__":
    main()
