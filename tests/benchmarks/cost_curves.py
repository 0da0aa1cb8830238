"""Is the cost of training linear in models, fragments and classes? Run by hand, nothing is asserted:

    python tests/benchmarks/cost_curves.py [--rounds 3] [--device cpu] [--figure curves.png]

One quantity changes at a time: models K from 1 to 128, fragments N from 1,000 to 100,000, classes C from 10 to 1,000. Each
point is a process of its own, so that its peak of memory is its own. Features are noise. Printed: seconds per training step,
peak memory above that of an idle process, features included, and the straight line through the points with its largest
deviation.
"""

import argparse
import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np

from mia_lib.reporting import figures

USUAL = dict(models=16, fragments=2000, classes=50)
CURVES = {
    "models": (1, 2, 4, 8, 16, 32, 64, 128),
    "fragments": (1000, 3000, 10_000, 30_000, 100_000),
    "classes": (10, 30, 100, 300, 1000),
}
STEPS = 12
POINT = """
import json, re, sys, time
import numpy as np, torch
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective
from mia_lib.training.parts import bytes_per_model
from mia_lib.training.train import train_job

options = json.loads(sys.argv[1])
k, n, c, steps, device = (options[name] for name in ("models", "fragments", "classes", "steps", "device"))
def peak():
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

idle = peak()
features = torch.empty(n, 94, 20).normal_()
labels = np.tile(np.arange(n) % c, (k, 1))
own = min(n, 16 * steps)  # of each model: half an epoch of 32 is a step

def job(epochs, models=k):
    train = [np.random.default_rng(i).permutation(n)[:own] for i in range(models)]
    return Job(features, labels[:models], train, TrainingConfig("paper_mfcc", epochs), list(range(models)), device=device)

def clocked(epochs):
    started = time.perf_counter()
    train_job(job(epochs), Objective())
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started

clocked(1)  # what happens once only
short = sorted(clocked(1) for _ in range(options["rounds"]))[options["rounds"] // 2]
long = [clocked(3) for _ in range(options["rounds"])]
steps_of = lambda epochs: -(-epochs * own // 32)
seconds = [(value - short) / (steps_of(3) - steps_of(1)) for value in long]
print(json.dumps(dict(seconds=sorted(seconds)[len(seconds) // 2], memory=peak() - idle, each=bytes_per_model(job(1, 1)))))
"""


def measure(options: dict) -> dict:
    result = subprocess.run([sys.executable, "-c", POINT, json.dumps(options)], capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Slope and start of a straight line with the smallest relative deviations, and how far each point lies from it, as a
    share of the line."""
    weights = np.stack([x, np.ones_like(x)], 1) / y[:, None]
    slope, start = np.linalg.lstsq(weights, np.ones_like(y), rcond=None)[0]
    return slope, start, y / (slope * x + start) - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--figure", default="")
    options = parser.parse_args()
    figures.style()
    figure, axes = plt.subplots(2, len(CURVES), figsize=(12, 6))
    for column, (name, values) in enumerate(CURVES.items()):
        points = []
        for value in values:
            choice = USUAL | {name: value} | dict(steps=STEPS, rounds=options.rounds, device=options.device)
            points.append(measure(choice))
            seconds, memory = points[-1]["seconds"], points[-1]["memory"]
            note = f", {points[-1]['each'] / 1e6:.1f} MB for each by the formula" if name == "models" else ""
            print(f"{name} {value:7,}: {1000 * seconds:8.2f} ms a step, {memory / 1e6:8.1f} MB{note}", flush=True)
        x = np.array(values, float)
        for row, (key, scale, unit) in enumerate((("seconds", 1000, "ms per step"), ("memory", 1e-6, "MB"))):
            y = scale * np.array([point[key] for point in points])
            slope, start, off = line(x, y)
            worst = int(np.abs(off).argmax())
            print(
                f"  {unit} against {name}: {slope:.4g} for each + {start:.4g}; furthest from its line: {values[worst]:,} "
                f"{name}, {100 * off[worst]:+.0f} % of it"
            )
            axes[row, column].plot(x, y, "o")
            axes[row, column].plot(x, slope * x + start, "--", color="grey")
            axes[row, column].set(xlabel=name, ylabel="memory, MB" if unit == "MB" else unit, ylim=(0, 1.08 * y.max()))
    print(f"usual: {USUAL}, batch 32, {options.device}")
    figure.tight_layout()
    if options.figure:
        figure.savefig(options.figure, dpi=120)


if __name__ == "__main__":
    main()
