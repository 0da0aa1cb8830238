"""How fast are features, and is the batch size the right one? Run by hand, nothing is asserted:

    python tests/benchmarks/features.py [--fragments 2000] [--rounds 5] [--feature mfcc] [--device cpu]

Times as multiples of real time, for batches of 1 to 512, medians of all rounds in which the sizes take turns; beside them
torchaudio on several processes, and librosa, one fragment after the other. Fragments are noise: it takes as long as speech.
"""

import argparse
import os
import statistics
import time

import librosa
import numpy as np
import torch

from mia_lib.features import compute
from mia_lib.features.compute import extract
from mia_lib.support.device import choose_device, tune

SIZES = (1, 4, 8, 16, 32, 64, 128, 512)
SECONDS, RATE, HOP = 3, 16_000, 512


def seconds_with(batch: int, feature: str, audio: np.ndarray, device: torch.device) -> float:
    compute.BATCH = batch
    started = time.perf_counter()
    extract(feature, [audio], HOP, device)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fragments", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--feature", default="mfcc")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device, ours = choose_device(options.device), compute.BATCH
    tune()
    noise = np.random.default_rng(0).normal(0, 3000, (options.fragments, SECONDS * RATE))
    audio = noise.clip(-32768, 32767).astype(np.int16)
    print(f"{device}, {os.cpu_count()} cores, {options.fragments} fragments of {SECONDS} s, {options.feature}")
    spent: dict[int, list[float]] = {size: [] for size in SIZES}
    for turn in range(options.rounds + 1):
        for size in SIZES:
            seconds = seconds_with(size, options.feature, audio, device)
            if turn:
                spent[size].append(seconds)
    speed = {size: options.fragments * SECONDS / statistics.median(values) for size, values in spent.items()}
    for size, times in speed.items():
        print(f"batch {size:4d}: {times:7,.0f} times real time{'   <- used' if size == ours else ''}")
    print(f"the batch in use reaches {speed[ours] / max(speed.values()):.2f} of the best")
    if options.feature == "mfcc":
        waves = audio[:100] / np.float32(32768)
        started = time.perf_counter()
        for wave in waves:
            librosa.feature.mfcc(y=wave, sr=RATE, n_mfcc=20, n_fft=2048, hop_length=HOP, n_mels=128)
        theirs = len(waves) * SECONDS / (time.perf_counter() - started)
        print(f"librosa: {theirs:,.0f} times real time; {speed[ours] / theirs:.0f} times slower than ours")


if __name__ == "__main__":
    main()
