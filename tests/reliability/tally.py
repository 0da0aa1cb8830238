"""What a soak test has tried, what was wrong, and how far it has come: kept, so that it can be done in pieces."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path


class Tally:
    """Trials and faults by kind, and finished steps by trouble; read from a file and written to it after each trial."""

    def __init__(self, path: Path):
        self.path, self.begun = path, time.monotonic()
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.trials: Counter[str] = Counter(kept.get("trials"))
        self.steps: Counter[str] = Counter(kept.get("steps"))
        self.faults: dict[str, list[str]] = defaultdict(list, kept.get("faults", {}))

    @property
    def seconds(self) -> float:
        """Since this piece began."""
        return time.monotonic() - self.begun

    def note(self, kind: str, faults: Iterable[str] = ()) -> None:
        """One more trial of a kind, and what was wrong with it."""
        self.trials[kind] += 1
        found = list(faults)
        self.faults[kind] += found
        print(f"{self.seconds:6.0f} s  {kind}: {'; '.join(found) or 'as it should be'}", flush=True)
        self.keep()

    def step(self, trouble: str) -> None:
        """One more step of a kind of trouble is done."""
        self.steps[trouble] += 1
        self.keep()

    def keep(self) -> None:
        state = {"trials": self.trials, "steps": self.steps, "faults": self.faults}
        self.path.write_text(json.dumps(state, indent=1), encoding="utf-8")

    def begins(self, words: str) -> int:
        """How many trials there were of kinds that begin with some words."""
        return sum(n for kind, n in self.trials.items() if kind.startswith(words))

    def table(self) -> str:
        """What was tried how often, and how many faults there were."""
        rows = [f"{'trouble':<56}{'trials':>8}{'faults':>8}"]
        rows += [f"{kind:<56}{n:>8}{len(self.faults[kind]):>8}" for kind, n in sorted(self.trials.items())]
        return "\n".join(rows)
