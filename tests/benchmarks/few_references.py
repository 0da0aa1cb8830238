"""How much does an attack find with few reference models? Run by hand, nothing is asserted:

    python tests/benchmarks/few_references.py [--corpus demo folder:DIR] [--seeds 0 1 2]
        [--attack lira_online lira_online:shared rmia_online base] [--counts 4 8 16] [--outputs DIR]

The models of notebook 06, each of them in turn the target, attacked through so many of the others, drawn for each target. A
row is an attack and a number of references, by corpus and seed: AUC, the mean over targets; members found at 1 % and 0.1 % of
the non-members of all targets together. Then means over corpora and seeds, in brackets their share of those that the first
attack has with `--beside` references. A fragment of which a published attack says nothing (all or none of the references
trained on it) has the middle of all scores. name:variance is LiRA with that variance.
"""

import argparse

import numpy as np
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.evaluation.rates import tpr_at_fpr
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.draws import generator

RATES = ("AUC", "at 1 %", "at 0.1 %")


def measured(signals, attack, count):
    """RATES of an attack whose name may end in its variance, with `count` references behind each target."""
    name, _, variance = attack.partition(":")
    options = {"variance": variance} if variance else {}
    models, aucs, scores, members = len(signals.logits), [], [], []
    for k in range(models):
        others = np.delete(np.arange(models), k)
        drawn = np.sort(generator(k, "reference models").permutation(others)[:count])
        found = ATTACKS.get(name)(**options).fit(signals.pick(drawn.tolist())).score(signals.pick([k]))[0]
        asked = signals.member[k] >= 0
        found = np.where(np.isnan(found), np.nanmedian(found), found)[asked]
        aucs.append(roc_auc_score(signals.member[k, asked] == 1, found))
        scores.append(found)
        members.append(signals.member[k, asked] == 1)
    together = np.concatenate(scores), np.concatenate(members)
    return [np.mean(aucs), tpr_at_fpr(*together, 0.01), tpr_at_fpr(*together, 0.001)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", default=["demo"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--attack", nargs="+", default=["lira_online:shared", "lira_online"])
    parser.add_argument("--counts", nargs="+", type=int, default=[4, 8, 16])
    parser.add_argument("--beside", type=int, nargs="+", help="counts of the first attack; default: the same")
    parser.add_argument("--outputs", default="outputs")
    options = parser.parse_args()
    beside = dict(zip(options.counts, options.beside or options.counts, strict=True))
    found: dict[tuple, list[list[float]]] = {}
    for corpus in options.corpus:
        for seed in options.seeds:
            signals = ReferenceStudy(ShadowStudy(Dataset(corpus, seed=seed, outputs=options.outputs))).signals
            print(f"{corpus}, seed {seed}: {len(signals.logits)} models, {signals.logits.shape[1]} fragments")
            for count in options.counts:
                for attack in options.attack:
                    rates = measured(signals, attack, count)
                    found.setdefault((attack, count), []).append(rates)
                    told = "  ".join(f"{name} {rate:.4f}" for name, rate in zip(RATES, rates, strict=True))
                    print(f"  {count:3} {attack:22} {told}", flush=True)
    print("\nmean, and as a share of", options.attack[0])
    for (attack, count), rates in found.items():
        usual = np.array(found[options.attack[0], beside[count]])
        shares, means = np.mean(rates, 0) / usual.mean(0), np.mean(rates, 0)
        told = "  ".join(
            f"{name} {mean:.4f} ({share:.3f})" for name, mean, share in zip(RATES, means, shares, strict=True)
        )
        print(f"  {count:3} {attack:22} {told}  beside {beside[count]}")


if __name__ == "__main__":
    main()
