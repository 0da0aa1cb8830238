"""Audits of persons on an experiment's targets and shadows: every person is one example, under protocol `speaker`."""

from dataclasses import replace

import numpy as np
import pandas as pd

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import Attack
from mia_lib.attacks.threshold import best_threshold
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure
from mia_lib.fragments.enrolment import enrol, largest_enrolment, person_codes
from mia_lib.signals.signals import Signals
from mia_lib.studies.shadow import Experiment
from mia_lib.support.errors import MiaError

PERSON_ATTACKS = ("speaker_level", "mean_posterior")
PERSON_METRICS = ("auc", "tpr_at_fpr_1e-1", "balanced_accuracy")


def person_audits(experiment: Experiment, attack: str, enrolment: int, control: bool = False) -> list[Audit]:
    """One audit per repeat in which every person is one example: an attack on persons, under protocol `speaker`.

    A person is represented by `enrolment` random recordings, which no model has trained on (see `enrol`). Fit, threshold
    and control are as in `audits`; intervals draw persons.
    """
    audits = []
    for target in experiment.targets():
        count = experiment.shadows - 1 if control else experiment.settings.n_shadows
        shadows = range(target + 1, target + 1 + count)
        rows, seed = (target, *shadows), experiment.seed * 1000
        member = {k: enrol(experiment.manifest, experiment.splits[k], enrolment, seed + k) for k in rows}
        known = _person_signals(experiment, list(shadows), np.stack([member[k] for k in shadows]))
        fit = ATTACKS.get(attack)(seed=seed + target).fit(known)
        learnt = [_person_scores(experiment, fit, k, member[k])[:2] for k in shadows]
        threshold = best_threshold(*map(np.concatenate, zip(*learnt, strict=True)))
        victim = target + experiment.shadows if control else target
        scores, who, rows = _person_scores(experiment, fit, victim, member[target])
        audits.append(Audit(scores, who, experiment.units("speaker")[rows], threshold, rows))
    return audits


def _person_signals(experiment: Experiment, models: list[int], member: np.ndarray) -> Signals:
    """Signals of some models for an audit of persons with the membership int8 [models, N]."""
    person = np.where((member >= 0).any(0), person_codes(experiment.manifest), -1)
    return replace(experiment.answers.pick(models).with_members(member), person=person)


def _person_scores(
    experiment: Experiment, fit: Attack, model: int, member: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score of each person in the audit set `member` [N], whether a member, and the first of the person's fragments."""
    signals = _person_signals(experiment, [model], member[None])
    used = np.flatnonzero(member >= 0)
    rows = used[np.unique(signals.person[used], return_index=True)[1]]
    return fit.score(signals)[0, rows], member[rows] == 1, rows


def enrolment_records(experiment: Experiment, sizes: tuple[int, ...] = (1, 2, 3, 5, 10)) -> pd.DataFrame:
    """How well persons are found by `sizes` recordings of each: attack, baseline, and both on a model that saw nobody.

    Metrics end in `_enrolment_N`, the control's in `_enrolment_N_control_unexposed`; `audit_units` counts the persons
    of the smaller side. Sizes for which people have too few recordings are left out; raises MiaError where all are.
    """
    largest = min(largest_enrolment(experiment.manifest, split) for split in experiment.splits)
    usable = [size for size in sizes if size <= largest]
    if not usable:
        raise MiaError(f"{largest} recordings are the most that can represent a person here: use a smaller enrolment")
    tables = []
    for attack in PERSON_ATTACKS:
        for size in usable:
            audits, end = person_audits(experiment, attack, size), f"enrolment_{size}"
            rates = evaluate(audits, experiment.settings.bootstrap, experiment.seed)
            measures = {f"{metric}_{end}": rates[metric] for metric in PERSON_METRICS}
            rates = evaluate(
                person_audits(experiment, attack, size, True), experiment.settings.bootstrap, experiment.seed
            )
            measures |= {f"{metric}_{end}_control_unexposed": rates[metric] for metric in PERSON_METRICS}
            units = min(audit.smaller_side() for audit in audits)
            measures[f"audit_units_{end}"] = Measure(units, units, units, measures[f"auc_{end}"].n)
            tables.append(experiment.table("speaker", attack, measures))
    return pd.concat(tables)
