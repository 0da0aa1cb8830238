"""A process that wants a stage which takes several steps with a checkpoint each: `stage_maker.py CACHE NAME`."""

import sys
import time
from pathlib import Path

from mia_lib.support.cache import Cache

STEPS = 10


def build(folder: Path, scratch: Path) -> None:
    for step in range(STEPS):
        (scratch / "checkpoint").write_text(str(step))
        time.sleep(0.1)
        assert (scratch / "checkpoint").read_text() == str(step)
    (folder / "maker.txt").write_text(sys.argv[2])


if __name__ == "__main__":
    cache = Cache(sys.argv[1])
    folder = cache.stage("slow", {}, build)
    print((folder / "maker.txt").read_text(), cache.timings[0]["cached"])
