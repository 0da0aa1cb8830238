"""How fast are K speaker models trained together, beside one after the other? Run by hand, nothing is asserted:

    python tests/benchmarks/training.py [--models 32] [--rounds 5] [--epochs 1] [--accuracy 20] [--authors] [--device cpu]
    python tests/benchmarks/training.py --corpus demo:250x105 --models 64 --epochs 50 --rounds 1 --only stacked

All ways train the paper's MFCC network on the same features of the demo corpus, with the same batches and hyper-parameters.
`plain` is what one would write in PyTorch: torch's own layers and Adam (foreach), eager, features cached in memory, one model
after the other; `graphed`, on CUDA, the same with the step recorded as a CUDA graph. `stacked` is cut into parts, one for
each core; `one core` does them one after the other; `beside N` is beside N processes that keep a core busy each.
`--authors`: also the way of the published code, a DataLoader that computes librosa features per item and epoch. Ways take
turns; a ratio is of the medians of all rounds. The second command trains shadows of the paper's size: some 28,000 fragments,
half of them for each model, 250 speakers.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mia_lib.defenses.base import make_defense
from mia_lib.features.compute import extract
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.device import choose_device, tune
from mia_lib.training.cuda_graph import WARM, recorded
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import batch_schedule
from mia_lib.training.parts import train_in_parts
from mia_lib.training.train import feature_statistics

BATCH, RATE = 32, 1e-3
PAIRS = [("stacked", "plain"), ("stacked", "graphed"), ("stacked K = 1", "plain K = 1"), ("stacked", "one core")]
PAIRS += [(f"{way} beside {n}", way) for way in ("stacked", "plain") for n in (1, 2)]
"""Of which the first is compared with the second."""


def network(bins: int, frames: int, classes: int) -> nn.Module:
    """The paper's MFCC network in torch's own layers."""
    layers, length = [], frames
    for inputs, outputs in ((bins, 2 * bins), (2 * bins, 4 * bins), (4 * bins, 8 * bins)):
        layers += [nn.Conv1d(inputs, outputs, 3, padding=1), nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(4)]
        length //= 4
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(length * 8 * bins, 512), nn.ReLU(), nn.Linear(512, classes))


def plain(features, labels, train, epochs, seeds, device, graphed=False) -> list[nn.Module]:
    """One model after the other."""
    models, means = [], feature_statistics(features, train)
    features, labels = features.to(device), torch.from_numpy(labels).to(device)
    for rows, seed, mean, scale in zip(train, seeds, *means, strict=True):
        torch.manual_seed(seed)
        model = network(features.shape[2], features.shape[1], int(labels.max()) + 1).to(device)
        adam = torch.optim.Adam(model.parameters(), RATE, foreach=True, capturable=graphed and device.type == "cuda")
        mean, scale = (t.float().to(device) for t in (mean, scale))
        schedule = torch.from_numpy(batch_schedule(rows, epochs * len(rows) // BATCH, BATCH, seed)).long().to(device)
        batch = schedule[0].clone()

        def step(model=model, adam=adam, mean=mean, scale=scale, batch=batch) -> tuple:
            x = ((features[batch] - mean) / scale).transpose(1, 2)
            adam.zero_grad()
            nn.functional.cross_entropy(model(x), labels[batch]).backward()
            adam.step()
            return ()

        for i, chosen in enumerate(schedule):
            batch.copy_(chosen)
            if graphed and i == WARM:
                step = recorded(step, device)
            step()
        models.append(nn.Sequential(_Normalise(mean, scale), model).eval())
    return models


class _Normalise(nn.Module):
    def __init__(self, mean, scale):
        super().__init__()
        self.mean, self.scale = mean, scale

    def forward(self, x):
        return ((x - self.mean) / self.scale).transpose(1, 2)


def graphed(*arguments) -> list[nn.Module]:
    """One model after the other, each step one launch."""
    return plain(*arguments, graphed=True)


def stacked(features, labels, train, epochs, seeds, device, workers=None):
    """All models in one call, in parts, one on each core (or on so many `workers`)."""
    config = TrainingConfig(epochs=epochs, batch_size=BATCH, learning_rate=RATE)
    job = Job(features, np.tile(labels, (len(train), 1)), train, config, seeds, device=device)
    return train_in_parts(make_defense("none"), job, workers).network


def on_one_core(*arguments):
    """All models in one call, on one core."""
    return stacked(*arguments, workers=1)


class _Items(TorchDataset):
    """The published way: the features of a fragment are computed when it is asked for."""

    def __init__(self, audio, labels, hop):
        self.audio, self.labels, self.hop = audio, labels, hop

    def __len__(self):
        return len(self.audio)

    def __getitem__(self, i):
        import librosa

        wave = np.asarray(self.audio[i], dtype=np.float32) / 32768
        values = librosa.feature.mfcc(y=wave, sr=16_000, n_mfcc=20, n_fft=2048, hop_length=self.hop, n_mels=128)
        return torch.from_numpy(values), self.labels[i]


def authors_epoch(experiment, labels, rows, device) -> float:
    """Seconds of one epoch of one model."""
    import librosa.feature  # noqa: F401

    items = _Items(experiment.fragments.audio[rows], labels[rows], experiment.settings.hop)
    model = network(20, experiment.features.shape[1], int(labels.max()) + 1).to(device)
    adam, started = torch.optim.Adam(model.parameters(), RATE), time.perf_counter()
    for x, y in DataLoader(items, BATCH, shuffle=True, num_workers=os.cpu_count()):
        adam.zero_grad()
        nn.functional.cross_entropy(model(x.to(device)), y.to(device)).backward()
        adam.step()
    return time.perf_counter() - started


@contextmanager
def neighbours(count: int):
    """So many other processes, each of which keeps a core busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    time.sleep(0.5 * (count > 0))
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def clocked(device, call, *arguments, beside: int = 0) -> float:
    """Seconds of a call, beside so many busy processes."""
    with neighbours(beside):
        started = time.perf_counter()
        call(*arguments)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started


@torch.no_grad()
def accuracies(models, features, labels, held_out) -> np.ndarray:
    """Of each of plain models, or of a stack."""
    if isinstance(models, list):
        pairs = zip(models, held_out, strict=True)
        return np.array([(m(features[rows]).argmax(-1).numpy() == labels[rows]).mean() for m, rows in pairs])
    answers = np.concatenate([models(part).argmax(-1).numpy() for part in features.split(256)], 1)
    return np.array([(row[rows] == labels[rows]).mean() for row, rows in zip(answers, held_out, strict=True)])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--accuracy", type=int, default=0, help="also train so many epochs and compare test accuracies")
    parser.add_argument("--authors", action="store_true")
    parser.add_argument("--corpus", default="demo")
    parser.add_argument("--only", default="", help="names of ways to train, with commas between them; default: all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"))
    return parser.parse_args()


def compare(ways: dict, job: tuple, options: argparse.Namespace) -> dict[str, float]:
    """Median seconds per model and epoch of each way, printed with their ratios."""
    features, labels, train, seeds, device = job
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(options.rounds + (options.rounds > 1)):  # of several the first is not counted
        for name, (way, count, beside) in ways.items():
            parts = (features, labels, train[:count], options.epochs, seeds[:count], device)
            spent = clocked(device, way, *parts, beside=beside) / options.epochs / len(train[:count])
            if turn or options.rounds == 1:
                seconds[name].append(spent)
    size = statistics.mean(map(len, train))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        span = f"[{min(seconds[name]):.4f}, {max(seconds[name]):.4f}], {value * 2600 / size:.3f} at 2,600 fragments"
        print(f"{name:16s} {value:.4f} s per model and epoch {span}")
    for one, other in PAIRS:
        if {one, other} <= set(medians):
            print(f"{one}: {medians[other] / medians[one]:.2f} times as fast as {other}")
    return medians


def compare_authors(experiment, labels, rows, device, ours: float, options: argparse.Namespace) -> None:
    """Beside the published way; ours: seconds per model and epoch of the stack."""
    theirs = statistics.median(authors_epoch(experiment, labels, rows, device) for _ in range(options.rounds))
    s = experiment.settings
    computed = clocked(device, lambda: extract(s.feature, [experiment.fragments.audio], s.hop))
    print(f"authors' way: {theirs:.2f} s per model and epoch; all features once: {computed:.2f} s")
    print(f"per model and epoch: {theirs / ours:.0f} times")
    run = 50 * options.models
    print(f"whole run of 50 epochs: {run * theirs / (computed + run * ours):.0f} times")


def compare_accuracies(job: tuple, held_out: list[np.ndarray], epochs: int) -> None:
    features, labels, train, seeds, device = job
    for name, way in (("plain", plain), ("stacked", stacked)):
        models = way(features, labels, train, epochs, seeds, device)
        models = [m.cpu() for m in models] if isinstance(models, list) else models.cpu()
        values = accuracies(models, features, labels, held_out)
        half = 1.96 * values.std(ddof=1) / len(values) ** 0.5
        print(f"{name:16s} test accuracy {values.mean():.4f} ± {half:.4f} after {epochs} epochs")


def main() -> None:
    options = arguments()
    device = choose_device(options.device)
    experiment = ShadowStudy(Dataset(options.corpus, outputs=options.outputs, device=str(device)))
    splits = ReferenceStudy(experiment, options.models).splits[: options.models]
    features, labels = experiment.features.clone(), splits[0].labels(experiment.manifest)
    train, seeds = [split.train() for split in splits], list(range(options.models))
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    print(f"{machine}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{options.models} models, {statistics.mean(map(len, train)):.0f} fragments each, ", end="")
    print(f"{len(splits[0].speakers)} speakers, {options.epochs} epoch(s)")

    tune()  # the plain loop has it as well
    ways = {
        "plain": (plain, None, 0),
        "stacked": (stacked, None, 0),
        "one core": (on_one_core, None, 0),
        "plain K = 1": (plain, 1, 0),
        "stacked K = 1": (stacked, 1, 0),
        "stacked beside 1": (stacked, None, 1),
        "stacked beside 2": (stacked, None, 2),
        "plain beside 1": (plain, None, 1),
        "graphed": (graphed, None, 0),
    }
    usual = [name for name in ways if name != "graphed" or device.type == "cuda"]
    job = (features, labels, train, seeds, device)
    chosen = options.only.split(",") if options.only else usual
    medians = compare({name: ways[name] for name in chosen}, job, options)
    if options.authors:
        compare_authors(experiment, labels, train[0], device, medians["stacked"], options)
    if options.accuracy:
        compare_accuracies(job, [split.held_out() for split in splits], options.accuracy)


if __name__ == "__main__":
    main()
