"""Do intervals of U-LiRA hold what they claim? Run by hand, nothing is asserted:

    python tests/benchmarks/forgetting_coverage.py [--people 8] [--studies 120] [--leaks 0 0.5 1.5] [--group 17]

Made-up answers of models that forgot a person, and of others that never heard them: how sure a model is varies by person and
by recording, and models that were trained on a person are surer of them by up to twice the leak, in nats. Audits are made as
`ForgettingStudy.attacked` makes them. A row: the leak, by recordings or by persons; the mean AUC of all studies, which is
taken for the true one (0.5 where nothing leaks), and the share of intervals that hold it, lie above, below, and their width.
"""

import argparse
from types import SimpleNamespace

import numpy as np

from mia_lib.evaluation.evaluate import evaluate
from mia_lib.studies.forgetting import ForgettingStudy

RECORDINGS, SCATTER = 6, 1.5


class MadeUp(ForgettingStudy):
    """Answers drawn for so many people, each with a few recordings, in place of models."""

    def __init__(self, seed: int, people: int, group: int, leak: float):
        rows = np.arange(people * RECORDINGS).reshape(people, RECORDINGS)
        self.leaving = SimpleNamespace(
            leavers=[f"person {p}" for p in range(people)],
            splits=[SimpleNamespace(speakers=[f"person {p}" for p in range(people + 2)])],
            rows=lambda p, given=None: rows[p],
            given=np.ones(rows.size, bool),
        )
        rng = np.random.default_rng(seed)
        shape = people, group, RECORDINGS
        hard, harm = rng.normal(5, 2, (people, 1, RECORDINGS)), leak * rng.uniform(0, 2, (people, 1, 1))
        self.sides = []
        for inside in (1, 0):
            voice, sound = rng.standard_normal((*shape[:2], 1)), rng.standard_normal(shape)
            confidence = hard + inside * harm + SCATTER * np.sqrt(0.5) * (voice + sound)
            answers = rng.standard_normal((*shape, people + 2))
            for p in range(people):
                others = np.delete(answers[p], p, axis=-1)
                answers[p, ..., p] = confidence[p] + np.log(np.exp(others).sum(-1))
            self.sides.append(answers.astype(np.float32))

    def auc(self, given: bool):
        """The AUC of U-LiRA with its interval."""
        stand = SimpleNamespace(inside=self.sides[0], outside=self.sides[1], control=None)
        self.leaving.given[:] = given
        return evaluate(self.attacked(stand, range(len(self.leaving.leavers)), given), 200, 0, control=True)["auc"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--studies", type=int, default=120)
    parser.add_argument("--group", type=int, default=17)
    parser.add_argument("--leaks", type=float, nargs="+", default=[0.0, 0.5, 1.5])
    options = parser.parse_args()
    for leak in options.leaks:
        studies = [MadeUp(seed, options.people, options.group, leak) for seed in range(options.studies)]
        for given, words in ((True, "recordings"), (False, "persons")):
            value, low, high = np.array([(m.value, m.low, m.high) for m in (one.auc(given) for one in studies)]).T
            true = value.mean() if leak else 0.5
            shares = [100 * np.mean(place) for place in ((low <= true) & (true <= high), low > true, high < true)]
            told = "held {:.1f}, above {:.1f}, below {:.1f} %".format(*shares)
            print(
                f"leak {leak:g}, by {words}: mean {value.mean():.3f}, {told}; width {np.mean(high - low):.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
