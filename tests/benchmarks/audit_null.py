"""Do audits of random answers find nothing? Run by hand, nothing is asserted:

    PYTHONPATH=tests python tests/benchmarks/audit_null.py [--audits 200] [--first 0] [--kind voices|noise]
        [--design alone|speaker|references|embeddings] [--draws 300]

Answers depend on the speaker and the recording (`voices`), or on nothing (`noise`), and never on who is a member. For each
attack and control: the mean AUC, and in how many audits its interval holds .5, lies above, so that the gate "auc > 0.5" of
that attack fires, or below. `strongest` is the gate without an attack's name. A share near 95 % of 200 audits has a standard
error of 1.5 %.
"""

import argparse
import warnings
from collections import defaultdict

import numpy as np
import sklearn
from auditing.made_up import signals

from mia_lib.auditing.columns import evidence_of
from mia_lib.auditing.report import judge


def world(seed: int, design: str, kind: str) -> dict:
    """Saved signals of which nothing depends on membership."""
    references = 6 if design == "references" else 0
    arrays = signals(seed, references=references, speakers=20, each=12)
    random = np.random.default_rng([seed, 1])
    arrays["blind"] = random.standard_normal((len(arrays["label"]), 6)) + arrays["logits"][:, :6] * (kind == "voices")
    if kind == "noise":
        arrays["logits"] = random.standard_normal(arrays["logits"].shape)
    if design in ("speaker", "embeddings"):
        side = random.permutation(20) < 10
        arrays["member"] = side[arrays["label"]].astype(int)
        arrays["label"] = np.full_like(arrays["label"], -1)
    if design == "embeddings":
        arrays["embeddings"] = arrays.pop("logits")
        arrays.pop("label")
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--kind", default="voices")
    parser.add_argument("--design", default="alone")
    options = parser.parse_args()
    places, values = defaultdict(list), defaultdict(list)
    for seed in range(options.first, options.first + options.audits):
        evidence = evidence_of(world(seed, options.design, options.kind), "null")
        results = judge(evidence, seed=seed, draws=options.draws).results
        for row in results[(results["measure"] == "auc")].to_dict("records"):
            name = f"{row['attack']} {row['control']}"
            places[name].append(1 if row["low"] > 0.5 else -1 if row["high"] < 0.5 else 0)
            values[name].append(row["value"])
    print(f"{options.audits} audits, {options.design}, {options.kind}: attack, mean AUC, held, above, below (in %)")
    for name, found in sorted(places.items()):
        place = np.array(found)
        shares = [100 * np.mean(place == where) for where in (0, 1, -1)]
        error = np.std(values[name]) / np.sqrt(len(found))
        print(f"{name:32s}{np.mean(values[name]):.4f} ±{error:.4f}" + "".join(f"{share:7.1f}" for share in shares))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        main()
