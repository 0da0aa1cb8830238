"""How close to the machine's limits does training come? Run by hand, nothing is asserted:

    python tests/benchmarks/floors.py [--models 32] [--model paper_mfcc] [--classes 50] [--rounds 5] [--device cpu]

Two floors for a training step: its operations at the rate of a large matrix product, and the bytes that must move at the rate
of a large copy, both measured in the same run. Bytes: what is kept for the way back is written once and read once, with a
batch of features gathered; parameters are read twice, their gradients written and read, weights and two moments read and
written by Adam: ten times. Then the operators on which the time goes. Features are noise.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mia_lib.models import MODELS
from mia_lib.support.device import choose_device
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective
from mia_lib.training.parts import footprint
from mia_lib.training.train import train_job

FRAMES, BATCH = 94, 32
SPANS = 25, 75  # steps of two runs whose difference is the time of a step
PARAMETERS = 10
"""How often the parameters' bytes pass in a step."""


def job(models: int, options: argparse.Namespace, steps: int, device: torch.device) -> Job:
    """Each model's fragments are one batch, so that an epoch is a step."""
    bins = 1025 if options.model == "paper_stft" else 20
    features = torch.randn(BATCH, FRAMES, bins)
    labels = np.tile(np.arange(BATCH) % options.classes, (models, 1))
    labels[:, 0] = options.classes - 1
    config = TrainingConfig(options.model, steps, BATCH)
    return Job(features, labels, [np.arange(BATCH)] * models, config, list(range(models)), device=device)


def seconds(device: torch.device, call: Callable, *arguments) -> float:
    started = time.perf_counter()
    call(*arguments)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=32)
    parser.add_argument("--model", default="paper_mfcc", choices=MODELS.names())
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device = choose_device(options.device)
    one = job(1, options, 1, device)
    network = MODELS.get(options.model)(*one.features.shape[1:], [options.classes])
    network.initialise([0])
    with FlopCounterMode(display=False) as counter:
        network(one.features).logsumexp(-1).sum().backward()
    parameters, kept, batch = footprint(one)
    operations, moved = counter.get_total_flops(), 2 * kept + PARAMETERS * parameters + 2 * batch

    square, block = torch.randn(2048, 2048, device=device), torch.empty(2**26, device=device)
    target = torch.empty_like(block)
    times: dict[str, list[float]] = {"step": [], "product": [], "copy": []}
    for turn in range(options.rounds + 1):  # the first is not counted
        spans = [
            seconds(device, train_job, job(options.models, options, steps, device), Objective()) for steps in SPANS
        ]
        spent = {
            "step": (spans[1] - spans[0]) / (SPANS[1] - SPANS[0]),
            "product": seconds(device, lambda: [square @ square for _ in range(5)]) / 5,
            "copy": seconds(device, lambda: [target.copy_(block) for _ in range(5)]) / 5,
        }
        for name, value in spent.items() if turn else ():
            times[name].append(value)
    step, product, copy = (statistics.median(values) for values in times.values())
    rate, bandwidth, each = 2 * 2048**3 / product, 2 * block.nbytes / copy, step / options.models
    print(f"{device}, {os.cpu_count()} cores, torch {torch.__version__}; products {rate / 1e9:,.0f} GFLOP/s", end="")
    print(f", copies {bandwidth / 1e9:.1f} GB/s, read and written")
    print(f"{options.models} models {options.model}, batch {BATCH}: {1e3 * each:.3f} ms a step and model")
    for name, amount, unit, floor in (
        ("operations", operations / 1e6, "MFLOP", operations / rate),
        ("bytes", moved / 1e6, "MB", moved / bandwidth),
    ):
        print(f"{name:10s} {amount:8.1f} {unit}: at least {1e3 * floor:.3f} ms, {floor / each:.0%} of what it takes")
    print(f"bytes are {2 * kept / moved:.0%} kept values, {PARAMETERS * parameters / moved:.0%} parameters")
    activities = [ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU]
    with profile(activities=activities) as profiled:
        train_job(job(options.models, options, SPANS[1], device), Objective())
    field = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    rows = sorted(profiled.key_averages(), key=lambda row: -getattr(row, field))
    whole = sum(getattr(row, field) for row in rows)
    for row in rows[:12]:
        print(f"{getattr(row, field) / whole:6.1%}  {row.key[:70]}")


if __name__ == "__main__":
    main()
