"""How often does a proven epsilon exceed the true one? Run by hand, nothing is asserted:

    PYTHONPATH=tests python tests/benchmarks/epsilon_coverage.py [--draws 2000] [--epsilon 1] [--recordings 150] [--seed 0]

The worlds are those of tests/evaluation/randomised_response.py. Rows: counted fragment by fragment over all
models, as one sample (which is not valid); and as `measured_epsilon` does it, one decision a recording and corrected for the
number of models. "three attacks": the largest bound of three independent ones, without and with correction. A bound of 95 %
may exceed the truth in 5 % of the draws.
"""

import argparse

import numpy as np
from evaluation.randomised_response import SETTINGS, randomised_response

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.epsilon import epsilon_lower_bound, measured_epsilon


def pooled(audits: list[Audit]) -> float:
    """Every fragment on every model counted as if it were independent of the others."""
    called = np.concatenate([audit.scores >= audit.threshold for audit in audits])
    member = np.concatenate([audit.member for audit in audits])
    hits, alarms = int((called & member).sum()), int((called & ~member).sum())
    return epsilon_lower_bound(hits, int(member.sum()), alarms, int((~member).sum()), 0.0)


def report(name: str, bounds: list[float], epsilon: float) -> None:
    error = 100 * np.sqrt(0.05 * 0.95 / len(bounds))
    late = 100 * np.mean(np.array(bounds) > epsilon)
    print(f"{name:62s} {late:6.1f} % above the truth (+- {error:.1f}), mean {np.mean(bounds):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--recordings", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for name, setting in SETTINGS.items():
        draws = [randomised_response(rng, options.epsilon, options.recordings, setting) for _ in range(options.draws)]
        report(f"{name}: one sample", [pooled(audits) for audits in draws], options.epsilon)
        report(f"{name}: measured_epsilon", [measured_epsilon(audits, 0.0) for audits in draws], options.epsilon)
    for tests in (1, 3):
        largest = [
            max(
                measured_epsilon(
                    randomised_response(rng, options.epsilon, options.recordings, (3, 1, 0.0, 1.0)), 0.0, tests
                )
                for _ in range(3)
            )
            for _ in range(options.draws)
        ]
        report(f"three attacks, corrected for {tests}", largest, options.epsilon)


if __name__ == "__main__":
    main()
