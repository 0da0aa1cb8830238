"""What do other processes cost that train the parts of a stack? Run by hand on an idle machine, nothing is asserted:

    python tests/benchmarks/executors.py [--models 32] [--steps 100] [--rounds 3]

Measured: the time of one stack by threads, by one and by two worker processes, and on Ray with one processor and with two,
the first call (which starts processes) apart. Then a model, not a measurement: from the measured time of a part, of
putting its features into the store and of an empty task, how efficient 8 to 64 workers would be on a network of BANDWIDTH,
for K = 256 models of the paper's size.
"""

import argparse
import statistics
import time
from math import ceil

import numpy as np
import torch

from mia_lib.defenses.base import make_defense
from mia_lib.support.cluster import load_ray
from mia_lib.support.executor import Executor, Here, each
from mia_lib.support.workers import Workers
from mia_lib.training import parts
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.parts import PART, cut, train_in_parts, train_part

FRAGMENTS, CLASSES, EPOCHS, MODELS = 28_000, 250, 50, 256  # of the paper's size
BANDWIDTH = 1e9 / 8  # bytes per second between nodes, for the model


def stack(models: int, steps: int, fragments: int = 2000) -> Job:
    """A job of the paper's network that takes so many steps."""
    features, labels = torch.randn(fragments, 94, 20), np.tile(np.arange(fragments) % CLASSES, (models, 1))
    own = [np.arange(32 * steps)] * models if 32 * steps <= fragments else [np.arange(fragments)] * models
    config = TrainingConfig(epochs=max(1, 32 * steps // len(own[0])))
    return Job(features, labels, own, config, list(range(models)))


def seconds(executor: Executor, job: Job) -> float:
    """That training takes by an executor."""
    chosen, parts.chosen = parts.chosen, lambda: executor
    started = time.perf_counter()
    try:
        train_in_parts(make_defense("none"), job)
    finally:
        parts.chosen = chosen
    return time.perf_counter() - started


def on_ray(processors: int):
    """An executor on a local Ray of so many processors; the one before is given up."""
    from mia_lib.support.cluster import OnRay

    ray = load_ray()
    ray.shutdown()
    ray.init(num_cpus=processors, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    return OnRay()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    job = stack(arguments.models, arguments.steps)
    ways: dict[str, Executor] = {f"threads, {n}": Here(n) for n in (1, 2)} | {
        f"workers, {n}": Workers(n) for n in (1, 2)
    }
    first, taken = {}, {name: [] for name in ways}
    for name, executor in ways.items():
        first[name] = seconds(executor, job)
    for _ in range(arguments.rounds):
        for name, executor in ways.items():
            taken[name].append(seconds(executor, job))
    for count in (1, 2):
        executor = on_ray(count)
        name = f"Ray, {count}"
        first[name], taken[name] = seconds(executor, job), []
        for _ in range(arguments.rounds):
            taken[name].append(seconds(executor, job))
        if count == 1:
            nothing = [_timed(lambda ray=executor: each(ray, abs, [0])) for _ in range(20)]
    alone = statistics.median(taken["threads, 1"])
    print(f"{arguments.models} models, {arguments.steps} steps each, medians of {arguments.rounds} rounds:")
    for name, values in taken.items():
        median = statistics.median(values)
        print(
            f"  {name:<12} {median:7.2f} s, first call {first[name]:6.2f} s, {alone / median:.2f} times one thread's pace"
        )
    model(alone / len(cut(arguments.models, PART)) / arguments.steps, statistics.median(nothing))


def model(step: float, nothing: float) -> None:
    """What would be; step: seconds of one step of a part on one core; nothing: seconds of an empty task."""
    features = torch.randn(FRAGMENTS, 94, 20)
    ray = load_ray()
    put = _timed(lambda: ray.put(features.numpy()))
    steps, groups = EPOCHS * FRAGMENTS // 2 // 32, cut(MODELS, PART)
    one = stack(len(groups[0]), 2)
    answer = sum(tensor.nbytes for tensor in train_part((make_defense("none"), one)).network.state_dict().values())
    print(
        f"A model: {MODELS} models of {FRAGMENTS} fragments, {CLASSES} speakers, {EPOCHS} epochs, in {len(groups)} parts"
    )
    print(f"  of {steps} steps of {step * 1e3:.1f} ms; features {features.nbytes / 1e6:.0f} MB, put in {put:.2f} s,")
    print(f"  to one node after the other at {BANDWIDTH / 1e6:.0f} MB/s; {answer / 1e6:.0f} MB back from each part;")
    print(f"  an empty task {nothing * 1e3:.0f} ms")
    for workers in (1, 2, 4, 8, 16, 32, 64):
        waves = ceil(len(groups) / workers)
        sent = put + workers * features.nbytes / BANDWIDTH if workers > 1 else put
        whole = sent + waves * (steps * step + nothing) + len(groups) * answer / BANDWIDTH
        ideal = len(groups) * steps * step / workers
        print(f"  {workers:3} workers: {whole / 60:7.1f} min, efficiency {ideal / whole:.2f} (modelled)")


def _timed(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
