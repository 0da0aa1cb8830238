"""Who may know what: models in use and not in use, pretenders and their references, the population, strangers."""

from dataclasses import replace

import numpy as np
import pytest
from test_calibrated import references, two_classes

from mia_lib.attacks import ATTACKS, best_threshold, check_references
from mia_lib.attacks.combined import PRETENDERS, Combination
from mia_lib.attacks.metrics import Loss
from mia_lib.attacks.rmia import CORRECTIONS, TEMPERATURES, TUNERS, auc
from mia_lib.signals.signals import Signals

CHOOSE_VARIANCE = ("lira_online", "lira_offline", "gradient_norm", "lira_online_queries", "lira_offline_queries")


@pytest.mark.parametrize("name", CHOOSE_VARIANCE)
def test_models_that_are_handed_over_but_not_in_use_change_nothing(name):
    target, others = references(0, models=41, n=60, reserved=20)
    few = others.audit_only((np.arange(40) < 16)[:, None])
    scores = ATTACKS.get(name)().fit(few).score(target)
    np.testing.assert_array_equal(scores, ATTACKS.get(name)().fit(others.pick(list(range(16)))).score(target))


@pytest.mark.parametrize("name", ["rmia_online", "rmia_offline"])
def test_rmia_is_tuned_where_each_pretender_is_attacked_through_the_other_models_alone(name):
    online = name == "rmia_online"
    choices = [(t, a) for t in TEMPERATURES for a in ((None,) if online else CORRECTIONS)]
    for seed in range(6):
        _, others = references(seed, models=6, n=80, reserved=20)
        found = dict.fromkeys(choices, 0.0)
        for k in range(TUNERS):
            rest = others.without(k)
            known = (rest.member == 0).any(0) & ((rest.member == 1).any(0) | (not online)) & (others.member[k] >= 0)
            for t, a in choices:
                attack = ATTACKS.get(name)(temperature=t, a=a).fit(rest.audit_only(known))
                scores = attack.score(others.pick([k]))[0, known]
                found[t, a] += auc(scores, others.member[k, known] == 1)
        usable = (others.member == 1).any(0) & (others.member == 0).any(0)
        tuned = ATTACKS.get(name)().fit(others.audit_only(usable))
        assert (tuned.temperature, tuned.a) == max(found, key=found.get), seed


@pytest.mark.parametrize("kind", ["audit", "reserved"])
def test_rmia_compares_with_the_audited_fragments_or_with_the_population_where_asked(kind):
    target, others = references(0, n=120, reserved=20)
    others = others.audit_only(np.arange(140) < 100)  # twenty are neither audited nor of the population
    target, others = (replace(s, population=np.arange(140) >= 120) for s in (target, others))
    attack = ATTACKS.get("rmia_online")(temperature=2.0, population=kind).fit(others)
    assert attack.z.sum() == {"audit": 100, "reserved": 20}[kind]
    before = attack.score(target)[0, 0]
    for rows, matters in (
        (range(1, 100), kind == "audit"),
        (range(100, 120), False),
        (range(120, 140), kind != "audit"),
    ):
        logits = target.logits.copy()
        logits[:, rows] = 0.0
        logits[0, rows, target.labels[0, rows]] = 30.0  # as sure as can be, so that none is dominated
        assert (attack.score(replace(target, logits=logits))[0, 0] != before) == matters


def test_the_parts_of_a_combination_are_fitted_without_the_pretenders_membership():
    fits, pairs = [], []

    class Witness(Loss):
        def fit(self, shadows):
            self.shadows = shadows
            fits.append(shadows)
            return super().fit(shadows)

        def score(self, target):
            pairs.append((self.shadows, target))
            return super().score(target)

    class Watched(Combination):
        def build_parts(self):
            return [Witness()]

    _, others = references(0, models=6, n=100, reserved=20)
    usable = (others.member == 1).any(0) & (others.member == 0).any(0)
    Watched().fit(others.audit_only(usable))
    assert len(pairs) == PRETENDERS
    for shadows, target in pairs:
        itself = [k for k, logits in enumerate(shadows.logits) if np.array_equal(logits, target.logits[0])]
        assert len(itself) == 1 and (shadows.member[itself] == -1).all()
        assert (np.delete(shadows.member, itself, axis=0) >= 0).any(1).all()
    assert (fits[-1].member >= 0).any(1).all()  # but on the target all of them are used


def test_a_speaker_has_an_attack_model_of_its_own_from_twenty_members_and_twenty_others():
    sides = {0: (20, 20), 1: (19, 60), 2: (60, 19), 3: (1, 1)}
    labels = np.concatenate([np.full(sum(counts), c) for c, counts in sides.items()])
    member = np.concatenate([np.arange(sum(counts)) < counts[0] for counts in sides.values()]).astype(int)
    logits = np.random.default_rng(0).standard_normal((1, len(labels), 4))
    attack = ATTACKS.get("shokri")().fit(Signals(logits, labels[None], member[None], aligned=True))
    assert sorted(attack.own) == [0] and attack.pooled_classes == 3


def test_the_population_is_outside_every_model_in_use_and_outside_no_other():
    member = np.array([[1, 0, -1, -1], [0, 1, -1, -1], [-1, -1, -1, -1]])
    signals = two_classes(np.zeros((3, 4)), member, population=np.array([False, False, True, False]))
    inside, outside = check_references(signals)
    np.testing.assert_array_equal(inside, member == 1)
    np.testing.assert_array_equal(outside, [[0, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]])


def test_a_stranger_is_judged_by_the_threshold_of_all_speakers_not_by_the_last_speakers():
    phi = np.array([[3.0, 4.0, 5.0, 6.0, -2.0, -1.0, 0.0, 1.0]])  # of all, 4.5 parts members best, of the last -0.5
    logits = np.stack([phi, np.zeros_like(phi)], axis=-1)
    logits[0, 4:] = logits[0, 4:, ::-1]
    member = np.array([[0, 0, 1, 1, 0, 0, 1, 1]])
    shadows = Signals(logits, np.repeat([[0, 1]], 4, axis=1), member, aligned=True)
    attack = ATTACKS.get("modified_entropy")().fit(shadows)
    scores = -shadows.statistics.modified_entropy
    of_all = best_threshold(scores[0], member[0] == 1)
    of_last = best_threshold(scores[0, 4:], member[0, 4:] == 1)
    assert of_all != of_last
    strangers = replace(shadows, labels=np.full((1, 8), -1))
    expected = -strangers.statistics.modified_entropy - of_all
    np.testing.assert_allclose(attack.score(strangers), expected)
    np.testing.assert_allclose(attack.score(shadows)[0, 4:], scores[0, 4:] - of_last)
