"""What one training run proves of differential privacy, where memberships were drawn by coins."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mia_lib.attacks.base import learns
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.trial import Trial
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.one_run import DELTA, one_run_epsilon, steinke_epsilon, tight_epsilon
from mia_lib.evaluation.records import Result

GUESSED = (0.01, 0.05, 0.25)
"""Shares of the coins, the highest and as many of the lowest, about which the bounds of epsilon let an attack guess."""
CONFIDENCE = 0.95


def epsilons(evidence: Evidence, found: list[Trial]) -> Iterator[tuple[str, list[Result]]]:
    """Lower bounds of epsilon from the coins of this one run, by the attacks that know nothing of other coins of it: those
    fitted on reference models, or that learn nothing. All bounds at DELTA hold together with CONFIDENCE, by Bonferroni.
    Beside each, its value where membership is shuffled."""
    able = [
        one for one in found if not one.by_person and (evidence.reference_answers is not None or not learns(one.attack))
    ]
    coin = evidence.unit
    for one in able:
        results = []
        for control, tried in (("", one.found), ("shuffled", one.controls["shuffled"])):
            audit = replace(tried.audit, clusters=coin[tried.audit.rows])
            coins = len(set(audit.clusters))
            guesses = [(max(1, round(share * coins)),) * 2 for share in GUESSED if 2 * round(share * coins) <= coins]
            confidence = 1 - (1 - CONFIDENCE) / (2 * len(able))
            for name, bound in (("steinke", steinke_epsilon), ("tight", tight_epsilon)):
                value = one_run_epsilon(audit, guesses, DELTA, confidence, bound)
                results.append(Result(f"epsilon_{name}", Measure(value, value, np.inf, coins), control=control))
        yield one.attack, results
