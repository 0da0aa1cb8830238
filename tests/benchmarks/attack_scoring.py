"""How long do the attacks take, and how much memory, at the size of a paper? Run by hand, nothing is asserted:

    python tests/benchmarks/attack_scoring.py [--classes 50] [--attacks gap,loss] [--halves] [--peers]

Signals are synthetic: fragments differ in difficulty and members gain confidence. What several attacks read (statistics,
confidences at a temperature) is computed once, for whichever asks first, as in an experiment.
"""

import argparse
import os
import resource
import sys
import time

import numpy as np
import torch
from peers import PEERS
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.signals.signals import Signals
from mia_lib.studies.pool import fragment_attacks, needs_of

MODELS, FRAGMENTS, CLASSES = 64, 28_000, 50
SECONDS, GIGABYTES = 20, 4  # what all attacks together should stay below, on two cores
BOOST = 1.0  # by which training on a fragment raises its own logit


def synthetic(models: int, fragments: int, classes: int, seed: int = 0) -> tuple[Signals, Signals]:
    """Signals of reference models, and of one more model as target; a tenth of the fragments are the population."""
    rng = np.random.default_rng(seed)
    population = np.arange(fragments) < fragments // 10
    member = np.where(population, -1, rng.random((models + 1, fragments)) < 0.5).astype(np.int8)
    labels, difficulty = rng.integers(classes, size=fragments), rng.normal(4, 2, fragments)
    logits = np.empty((models + 1, fragments, classes), dtype=np.float32)
    for k, z in enumerate(logits):
        rng.standard_normal(out=z, dtype=np.float32)
        z[np.arange(fragments), labels] += difficulty + BOOST * (member[k] == 1)
    labels = np.tile(labels, (models + 1, 1))
    parts = [(logits[part], labels[part], member[part], True, population) for part in (np.s_[1:], np.s_[:1])]
    return Signals(*parts[0]), Signals(*parts[1])


def auc(scores: np.ndarray, target: Signals) -> float:
    mask, member = target.audited()
    return float(roc_auc_score(member, scores[mask]))


def clocked(call, *arguments) -> tuple:
    """What a call returns, and the seconds that it kept processors busy: others on the machine do not count."""
    start = time.process_time()
    return call(*arguments), time.process_time() - start


def attack(name: str, references: Signals, target: Signals) -> np.ndarray:
    return ATTACKS.get(name)().fit(references).score(target)


def timed(attacks: list[str], references: Signals, target: Signals, show=print) -> float:
    """Processor seconds of all attacks together, each told with its AUC on the target."""
    began = time.perf_counter()
    _, total = clocked(lambda: (references.statistics, target.statistics))
    show(f"  {'statistics, shared':20} {total:8.2f} s")
    for name in attacks:
        scores, seconds = clocked(attack, name, references, target)
        show(f"  {name:20} {seconds:8.2f} s   AUC {auc(scores, target):.3f}", flush=True)
        total += seconds
    show(f"  {'all together':20} {total:8.2f} s of all processors", flush=True)
    show(f"  {time.perf_counter() - began:8.2f} s on the clock (wanted: below {SECONDS} s on two free cores)")
    return total


def compare(references: Signals, target: Signals) -> None:
    """Other libraries' attacks and ours on the same arrays, with the statistics at hand; ratios are theirs over ours."""
    for package, pairs in PEERS.items():
        for peer, name, models in pairs:
            known = references if models is None else references.pick(list(range(models)))
            try:
                theirs, their_seconds = clocked(peer, known, target)
            except ModuleNotFoundError as error:
                print(f"  {package} is not installed (no module {error.name})")
                break
            ours, seconds = clocked(attack, name, known, target)
            their_auc, our_auc = auc(theirs, target), auc(ours, target)
            print(f"  {package} {peer.__name__}: AUC {their_auc:.3f}, {their_seconds:.2f} s")
            print(
                f"    {name} on {len(known.logits)} models: AUC {our_auc:.3f}, {seconds:.2f} s; theirs over ours: ",
                end="",
            )
            print(f"AUC {their_auc / our_auc:.3f}, time {their_seconds / seconds:.1f}", flush=True)


def peak_gigabytes() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def main() -> None:
    logits_only = [name for name in fragment_attacks() if not needs_of(name)]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=CLASSES)
    parser.add_argument("--attacks", default=",".join(logits_only), help="names, separated by commas")
    parser.add_argument("--halves", action="store_true", help="also half the models, and half the fragments")
    parser.add_argument("--peers", action="store_true", help="also other libraries on the same arrays")
    options = parser.parse_args()
    attacks = options.attacks.split(",")

    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} torch threads{load}, Python {sys.version.split()[0]}")
    print(f"{MODELS} reference models x {FRAGMENTS} fragments x {options.classes} classes, float32")
    references, target = synthetic(MODELS, FRAGMENTS, options.classes)
    whole = timed(attacks, references, target)
    print(f"  peak memory of the process {peak_gigabytes():.2f} GB (wanted: below {GIGABYTES} GB)")
    if options.peers:
        compare(references, target)
    del references, target
    if options.halves:
        for what, models, fragments in (("models", MODELS // 2, FRAGMENTS), ("fragments", MODELS, FRAGMENTS // 2)):
            half = timed(attacks, *synthetic(models, fragments, options.classes), show=lambda *_, **__: None)
            print(f"half the {what}: {half:.2f} s, {half / whole:.2f} of the whole (linear: 0.50)", flush=True)


if __name__ == "__main__":
    main()
