"""Judges evidence: every attack that it allows, each beside its negative controls, and what never asks the model."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mia_lib.attacks.base import ATTACKS, needs_of
from mia_lib.auditing.alone import Alone
from mia_lib.auditing.baseline import BLIND
from mia_lib.auditing.epsilons import epsilons
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.referenced import Referenced
from mia_lib.auditing.trial import Trial
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.bootstrap import CHUNK
from mia_lib.evaluation.rates import FPR_LEVELS
from mia_lib.evaluation.records import Result, results_table
from mia_lib.evaluation.resolution import measurable
from mia_lib.evaluation.strongest import LEVELS, STRONGEST, Strongest, strongest_of
from mia_lib.support.errors import MiaError
from mia_lib.support.progress import progress

PROFILE = "audit"
JUDGED_BY = ("auc", "balanced_accuracy", *LEVELS)
"""Measures of which the strongest attack is looked for."""
DRAWN_AT_ONCE = 20_000_000
"""Weights of the bootstrap that are held at once, over all attacks."""
LACKS = {
    "copies": "answers to altered versions of each row (copies)",
    "inputs": "a description of each row that does not depend on the model (blind)",
    "sensitivity": "how far answers move with noise on the input (sensitivity)",
    "internals": "what only the owner of a model can read (gradients and activations)",
    "embeddings": "embeddings",
    "person": "the protocol speaker, with the column speaker",
}


def lacking(attack: str, evidence: Evidence) -> str:
    """What an attack would need that the evidence does not hold, in words; empty where it holds all."""
    needs = needs_of(attack)
    if ("embeddings" in needs) != (evidence.kind == "embeddings"):
        return f"needs {'embeddings' if 'embeddings' in needs else 'logits or posteriors'}, not {evidence.kind}"
    if getattr(ATTACKS.get(attack), "calibrated", False) and evidence.reference_answers is None:
        return "needs reference models (reference_logits or reference_posteriors, and reference_member)"
    persons = evidence.protocol == "speaker" and evidence.speakers_known
    held = dict(
        copies=evidence.copies is not None,
        inputs=evidence.blind is not None,
        internals=False,
        embeddings=True,
        person=persons,
    )
    without = [LACKS[need] for need in needs if not held.get(need, False)]
    return f"needs {' and '.join(without)}" if without else ""


def trials(evidence: Evidence, seed: int, attacks: Sequence[str] | None = None) -> tuple[list[Trial], dict[str, str]]:
    """Every attack that the evidence allows (None: of all that are registered), and of the others why not. Raises MiaError
    where there is none, UsageError for an unknown one."""
    referenced = evidence.reference_answers is not None
    design = Referenced(evidence, seed) if referenced else Alone(evidence, seed)
    design.read()
    found, not_run = [], {}
    names = ATTACKS.names() if attacks is None else list(attacks)
    with progress("attacks", len(names), "attack") as bar:
        for name in names:
            why = lacking(name, evidence)
            if not why:
                try:
                    found.append(design.trial(name))
                except MiaError as error:
                    why = str(error).removeprefix(f"attack {name!r}: ")
            if why:
                not_run[name] = why
            bar.update(1, name)
    if not found and evidence.kind == "embeddings" and evidence.protocol != "speaker":
        raise MiaError(
            f"{evidence.name}: embeddings tell whose voice was trained on, so that no speaker may be on both sides (protocol "
            "speaker); if they are logits or posteriors of classes, say so"
        )
    if not found:
        reasons = {why: [k for k in not_run if not_run[k] == why] for why in not_run.values()}
        said = "; ".join(f"{', '.join(which)}: {why}" for why, which in reasons.items())
        raise MiaError(f"{evidence.name}: no attack can be tried ({said})")
    return found, not_run


def records(
    evidence: Evidence, found: list[Trial], baseline: Trial | None, draws: int, seed: int
) -> tuple[pd.DataFrame, dict[str, Strongest]]:
    """All rates with intervals and controls, of the strongest attack as well, as the house's table of results; and which
    attack is the strongest by each measure."""
    tables = [_table(evidence, seed, one.attack, one.results(draws, seed)) for one in found]
    if baseline is not None:
        tables.append(_table(evidence, seed, BLIND, baseline.results(draws, seed)))
    best = strongest(found, draws, seed)
    results = [Result(measure, one.measure) for measure, one in best.items()]
    tables.append(_table(evidence, seed, STRONGEST, results))
    if evidence.coins:
        tables += [_table(evidence, seed, name, results) for name, results in epsilons(evidence, found)]
    return pd.concat(tables, ignore_index=True), best


def strongest(found: list[Trial], draws: int, seed: int) -> dict[str, Strongest]:
    """The attack with the largest value of each measure, with the interval that knows that it was picked."""
    best = {}
    for measure in JUDGED_BY:
        audits = {one.attack: [one.found.for_measure(measure)] for one in found if _carries(one.found.audit, measure)}
        if audits:
            total = sum(len(audit.member) for (audit,) in audits.values())
            chunk = int(np.clip(DRAWN_AT_ONCE // total, 1, CHUNK))
            best[measure] = strongest_of(audits, draws, seed, measure, chunk)
    return best


def _carries(audit: Audit, measure: str) -> bool:
    """Whether an audit has enough non-members for a rate at few false positives."""
    return measure not in FPR_LEVELS or measurable(FPR_LEVELS[measure], int((~audit.member).sum()))


def _table(evidence: Evidence, seed: int, attack: str, results) -> pd.DataFrame:
    identity = dict(corpus=evidence.name, profile=PROFILE, seed=seed, protocol=evidence.protocol)
    return results_table(identity | dict(defense="none", attack=attack, adaptive=False), results)
