"""Standing null test: nothing but the question leaks. Every registered attack, under every protocol and behind every defense.

Models answer at random, or as voices and recordings sound to all of them (`null_world`). Whoever then tells members from
others was told by a mask, a label, a population, a person, by which fragments have copies or internals, or by a defense.

This is the small version, for the suite: at least 200 draws of an attack in a study under a protocol, of SLOW ones 30, are
spread over what is behind, and most steps of MemGuard and of the self-attention attack are left out. The full one, with 200
draws behind each, is run by hand: `tests/benchmarks/null_battery.py`.

A mean must be within 2.5 standard errors of chance. Of some 400 means a few are not by luck. Those are measured again with
other seeds, twice at most, and fail if they are off to the same side each time: a sound mean with a probability of
.0124 x .0062^2, some sound one with less than one in 4000, one that is off by four standard errors with .8.
"""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn
from null_world import (
    NOISE,
    PATIENT,
    VOICES,
    Table,
    World,
    alarms,
    auc,
    behind,
    decisions,
    deviation,
    found,
    label,
    questions,
    references,
    set_aside_and_answered,
    shadows,
)

from mia_lib.attacks import ATTACKS, self_attention
from mia_lib.defenses import DEFENSES, memguard
from mia_lib.evaluation.audit import Audit
from mia_lib.fragments.splits import CONSUMED, HELD_OUT, KNOWLEDGE, TRAIN, Split
from mia_lib.studies import reference
from mia_lib.studies.defended import CONSUMING
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.studies.study import Question
from mia_lib.support.errors import MiaError

BOUND, SERIES, TARGETS = 2.5, 3, 4
SLOW = {
    "combined", "label_only", "lira_offline_queries", "lira_online_queries", "mean_cosine", "mean_posterior",
    "ramia", "rmia_offline", "rmia_offline_queries", "rmia_online_queries", "self_attention", "shokri", "speaker_level",
    "speaker_similarity", "top3_network", "white_box",
}  # fmt: skip


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Checks of scikit-learn and most steps of MemGuard and of the self-attention attack are left out."""
    monkeypatch.setattr(self_attention, "EPOCHS", 3)
    for name, steps in (("CLASSIFIER_STEPS", 30), ("STEPS", 20), ("HALVINGS", 10)):
        monkeypatch.setattr(memguard, name, steps)
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        yield


def worlds(attack, study, kind, series):
    """As many as give the attack its draws; MemGuard, which takes most of the time, is behind few."""
    places, targets = behind(), 1 if study is references else TARGETS
    draws = 200 if attack not in SLOW else 30 if study is references else 40  # some behind everything
    for i in range(draws // targets):
        place = places[i % len(places)]
        seed = 1000 * series + i
        yield World(seed, "none" if place == "memguard" and i > 2 * len(places) else place, kind, targets)


def audits(attack, asked, kind, series=0):
    """Of every draw, by what is behind. Thresholds of attacks on references are not learnt: that takes thrice the time."""
    study, question = asked
    made_of = defaultdict(list)
    for world in worlds(attack, study, kind, series):
        made = study(world)
        if study is references:
            made.rehearsed = lambda *_: (np.array([0.0, 1.0]), np.array([False, True]))
        made_of[world.behind] += made.ask(question)
    return made_of


def off(audited, independent=True):
    """The means that are beyond the bound, with the side on which they are. independent: whether the fragments of a speaker
    are no more alike than others, as the chance of true positives at 1 % of an audit's own non-members supposes."""
    every = [audit for some in audited.values() for audit in some]
    values = {
        "AUC": np.array([auc(audit) - 0.5 for audit in every]),
        "at a known 1 %": np.concatenate([np.subtract(*alarms(some)) for some in audited.values()]),
        "at the learnt threshold": np.array([decisions(audit) for audit in every]),
    }
    if independent:
        values["at its own 1 %"] = found(every)
    z = {name: deviation(value) for name, value in values.items()}
    return {(name, np.sign(value)) for name, value in z.items() if abs(value) > BOUND}


def can_be_asked(attack, asked):
    """Whether the study's signals hold what the attack needs: not, if its fit refuses those of no defense."""
    study, question = asked
    made = study(World(0, "none", NOISE, TARGETS))
    models = made.teachers(0, False, None)
    try:
        made.fit(question, 0, made.known(question, 0, models))
    except MiaError:
        return False
    return True


@pytest.mark.parametrize("name", ATTACKS.names())
def test_answers_that_do_not_depend_on_membership_leave_every_attack_at_chance(name):
    asked = [one for one in questions(name) if can_be_asked(name, one)]
    asked = [one for one in asked if one[1].protocol != CONSUMED or name in CONSUMING]
    assert asked
    for one in asked:
        for kind in (NOISE, VOICES):
            suspect = off(audits(name, one, kind), kind == NOISE)
            for series in range(1, SERIES):
                suspect = suspect and suspect & off(audits(name, one, kind, series), kind == NOISE)
            assert not suspect, f"{label(one)}, {kind}"


def test_who_else_trained_on_a_recording_tells_nothing_of_the_target():
    """Without any answer, so that less is needed to see it than by an attack."""
    deviations, question = defaultdict(list), Question("gap")
    for world in worlds("gap", references, NOISE, 0):
        study = references(world)
        (target,) = study.targets()
        models = study.teachers(target, False, None)
        victim, known = study.victim(question, target, False, models), study.known(question, target, models).member
        for value in (0, 1, -1):
            share = (known[:, victim.columns] == value).mean(0)
            deviations[value].append(auc(Audit(share, victim.member, share, 0.0, victim.rows)) - 0.5)
    assert all(abs(deviation(np.array(values))) < BOUND for values in deviations.values())


@pytest.mark.parametrize("name", DEFENSES.names())
def test_a_defense_changes_no_more_of_who_is_audited_than_the_one_that_stands_for_it(name):
    same = {set_aside_and_answered(one): one for one in behind() if one not in ("none", PATIENT)}
    table, splits = Table(0, patient=True, targets=2), []
    for one in (name, same.get(set_aside_and_answered(name), "none")):
        study = ShadowStudy(table, one)
        splits.append([split.role for made in (study, ReferenceStudy(study)) for split in made.splits])
    np.testing.assert_array_equal(*splits)


def test_classes_that_are_shown_where_strangers_have_none_are_seen(monkeypatch):
    monkeypatch.setitem(KNOWLEDGE, "paper", replace(KNOWLEDGE["paper"], classes=True))
    assert off(audits("shokri", (shadows, Question("shokri", "paper")), NOISE, series=50))


def test_recordings_that_train_exactly_half_of_the_models_are_seen(monkeypatch):
    def in_halves(manifest, speakers, models, seed, *shares):
        splits, redrawn = coins(manifest, speakers, models, seed, *shares)
        sources, rng = pd.factorize(manifest["source"])[0], np.random.default_rng(seed)
        inside = rng.permuted(np.tile(np.arange(models) % 2 == 0, (sources.max() + 1, 1)), axis=1)[sources].T
        return [
            Split(own.speakers, np.where(np.isin(own.role, (TRAIN, HELD_OUT)), np.where(i, TRAIN, HELD_OUT), own.role))
            for own, i in zip(splits, inside, strict=True)
        ], redrawn

    coins = reference.coin_splits
    monkeypatch.setattr(reference, "coin_splits", in_halves)
    assert off(audits("combined", (references, Question("combined")), NOISE, series=60))
