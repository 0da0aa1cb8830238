"""How often do 95 % intervals hold the truth? Run by hand, nothing is asserted:

    PYTHONPATH=tests python tests/benchmarks/interval_coverage.py [--sets 400] [--draws 300] [--only "nine targets"]
        [--seed 0]

Worlds: tests/evaluation/worlds.py. In each, the share of made-up data sets whose interval holds the true rate, in percent;
`-` where no interval is given, since the audit set cannot carry it. A coverage of 95 % comes out between 93 and 97 in most
columns of 400 sets. "change": of the AUC, paired, between two attacks of which the second finds less. "picked": of the
strongest of six equal attacks. "right": of an accuracy.
"""

import argparse
from collections import defaultdict

import numpy as np
from evaluation.worlds import WORLDS, World
from scipy.stats import norm

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.evaluation.strongest import change_of_strongest, strongest_of

SHORT = {
    "auc": "AUC", "balanced_accuracy": "bal. acc.", "precision": "precision", "recall": "recall",
    "tpr_at_fpr_1e-1": "10 %", "tpr_at_fpr_1e-2": "1 %", "tpr_at_fpr_1e-3": "0.1 %", "tpr_at_fpr_1e-3_pooled": "0.1 % pooled",
    "change": "change", "picked": "picked", "right": "right",
}  # fmt: skip
LESS = 0.3  # of the gap is taken away where a change is measured


def compared(world: World, rng: np.random.Generator, draws: int, seed: int) -> dict[str, tuple[Measure, float]]:
    """Intervals of a change, of a picked attack and of an accuracy, each with its truth."""
    gaps = world.gap + world.apart * rng.standard_normal(world.targets)
    truth = gaps if world.targets == 1 else None  # a single target's interval is of that very target
    old = world.audits(rng, gaps)
    new = [
        Audit(a.scores - LESS * world.gap * a.member + 0.3 * rng.standard_normal(len(a.scores)), *_rest(a)) for a in old
    ]
    full = gaps if truth is not None else world.gap + world.apart * norm.ppf((np.arange(2000) + 0.5) / 2000)
    aucs = norm.cdf(full / np.sqrt(2)), norm.cdf((full - LESS * world.gap) / np.sqrt(2 + 0.3**2 * 2))
    change = change_of_strongest({"a": new}, {"a": old}, draws, seed)
    equal = {
        str(i): [Audit(a.scores + 0.3 * rng.standard_normal(len(a.scores)), *_rest(a)) for a in old] for i in range(6)
    }
    picked = strongest_of(equal, draws, seed).measure
    correct = [(a.scores > -1)[~a.member].astype(float) for a in old]
    right = mean_measure(correct, [a.clusters[~a.member] for a in old], draws, seed)
    return {
        "change": (change, float((aucs[1] - aucs[0]).mean())),
        "picked": (picked, float(norm.cdf(full / np.sqrt(2 + 0.3**2 * 2)).mean())),
        "right": (right, float(norm.sf(-1))),
    }


def _rest(audit: Audit) -> tuple:
    return audit.member, audit.clusters, audit.threshold, audit.rows


def coverage(world: World, sets: int, draws: int, seed: int) -> dict[str, str]:
    """Of every measure, in percent."""
    rng, held = np.random.default_rng(seed), defaultdict(list)
    for number in range(sets):
        gaps = world.gap + world.apart * rng.standard_normal(world.targets)
        truth = world.truth(gaps if world.targets == 1 else None)
        rates = evaluate(world.audits(rng, gaps), draws, number)
        pairs = {name: (rates[name], truth[name]) for name in truth}
        for name, (measure, value) in (pairs | compared(world, rng, draws, number)).items():
            held[name].append(np.nan if np.isnan(measure.low) else float(measure.low <= value <= measure.high))
    return {name: "-" if np.isnan(hits).any() else f"{100 * np.mean(hits):.0f}" for name, hits in held.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{'':38s}" + " ".join(f"{name:>9s}" for name in SHORT.values()))
    for name, world in WORLDS.items():
        if options.only in name:
            found = coverage(world, options.sets, options.draws, options.seed)
            print(
                f"{name:38s}" + " ".join(f"{found[key]:>{max(9, len(title))}s}" for key, title in SHORT.items()),
                flush=True,
            )


if __name__ == "__main__":
    main()
