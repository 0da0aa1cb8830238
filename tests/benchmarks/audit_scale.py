"""Memory and speed of an audit of signals that do not fit into memory. Run by hand, nothing is asserted:

    python tests/benchmarks/audit_scale.py FOLDER [--rows 150000] [--classes 1251] [--references 16] [--attack NAME ...]

Writes signals in float16 to FOLDER (once), and prints how long it takes to read the file, to read it and keep statistics, and
to audit it, each in a process of its own, with the largest resident size of the last.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

EACH = 120  # recordings of a speaker


def write(path: Path, rows: int, classes: int, references: int) -> None:
    """Signals of which members' right logits are a little higher, written model by model."""
    import zipfile

    random = np.random.default_rng(0)
    label = np.arange(rows) // EACH % classes
    member = random.integers(0, 2, (references + 1, rows)).astype(np.int8)
    small = dict(label=label, member=member[0], reference_member=member[1:])
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for name, array in small.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array)
        for name, models, shape in (
            ("logits", [0], (rows, classes)),
            ("reference_logits", range(1, references + 1), (references, rows, classes)),
        ):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                header = dict(descr="<f2", fortran_order=False, shape=shape)
                np.lib.format.write_array_header_2_0(file, header)
                for k in models:
                    for first in range(0, rows, 5000):
                        some = slice(first, first + 5000)
                        block = random.standard_normal((len(label[some]), classes), dtype=np.float32)
                        block[np.arange(len(block)), label[some]] += 6 + 2 * member[k, some]
                        file.write(block.astype("<f2").tobytes())


def read(path: Path) -> None:
    """The file, once through."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def statistics(path: Path) -> None:
    """What attacks need of it."""
    from mia_lib.auditing.referenced import Referenced
    from mia_lib.auditing.saved import read_signals

    Referenced(read_signals(path), 0).read()


def audit(path: Path, attacks: list[str]) -> None:
    """All of an audit but its files."""
    from mia_lib.auditing.report import judge
    from mia_lib.auditing.saved import read_signals

    report = judge(read_signals(path), draws=1000, attacks=attacks or None)
    print("\n".join(report.about["findings"]), *report.about["not_run"].items(), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for name, default in (("rows", 150_000), ("classes", 1251), ("references", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--attack", action="append", default=[])
    parser.add_argument("--step", choices=("read", "statistics", "audit"), help="this one only, in this process")
    options = parser.parse_args()
    path = options.folder / f"signals_{options.rows}_{options.classes}_{options.references}.npz"
    if options.step:
        started = time.perf_counter()
        step = dict(read=read, statistics=statistics).get(options.step, lambda path: audit(path, options.attack))
        step(path)
        seconds, memory = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        speed = path.stat().st_size / seconds / 1e6
        print(
            f"{options.step}: {seconds:.1f} s, {speed:.0f} MB of the file a second, at most {memory:.0f} MB of memory"
        )
        return
    if not path.exists():
        write(path, options.rows, options.classes, options.references)
    for step in ("read", "statistics", "audit"):
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--step", step], check=True)


if __name__ == "__main__":
    main()
