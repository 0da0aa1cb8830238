"""White-box attacks: by hand, real where only the internals leak, at chance where they do not, and on trained models."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from test_calibrated import auc, references

from mia_lib.attacks import ATTACKS
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.signals import Signals
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import MiaError

WHITE_BOX = ("gradient_norm", "white_box")


def log_norms(values, member):
    """Signals in which the log gradient norm is `values` [K, N], and all else says nothing."""
    values = np.asarray(values, float)
    internals = np.zeros((*values.shape, len(INTERNALS)))
    internals[..., INTERNALS.index("log_gradient_norm")] = values
    flat = np.zeros((*values.shape, 2))
    return Signals(flat, np.zeros(values.shape, int), np.asarray(member), aligned=True, internals=internals)


def split_leak(seed, in_phi, in_internals):
    """Target and references in which the confidence, the internals, both or neither know of membership."""
    leaky, still = references(seed, boost=3.0), references(seed, boost=0.0)
    return [
        replace((leaky if in_phi else still)[i], internals=(leaky if in_internals else still)[i].internals)
        for i in (0, 1)
    ]


def test_a_small_gradient_means_member_by_hand():
    shadows = log_norms([[-4.0], [-6.0], [0.0], [-2.0]], [[1], [1], [0], [0]])
    attack = ATTACKS.get("gradient_norm")(variance="fragment").fit(shadows)
    scores = attack.score(log_norms([[-3.0], [-4.0], [-2.0]], [[-1]] * 3))
    np.testing.assert_allclose(scores, [[0.0], [4.0], [-4.0]], atol=1e-12)


@pytest.mark.parametrize("name", WHITE_BOX)
def test_internals_find_members_that_the_confidence_does_not(name):
    for seed in range(3):
        target, others = split_leak(seed, in_phi=False, in_internals=True)
        assert auc(ATTACKS.get("lira_online")().fit(others), target) < 0.6
        assert auc(ATTACKS.get(name)().fit(others), target) > 0.85


def test_internals_that_say_nothing_leave_the_gradient_attack_at_chance_and_the_combination_with_the_confidence():
    gradient, both, lira = [], [], []
    for seed in range(5):
        target, others = split_leak(seed, in_phi=True, in_internals=False)
        for found, name in ((gradient, "gradient_norm"), (both, "white_box"), (lira, "lira_online")):
            found.append(auc(ATTACKS.get(name)().fit(others), target))
    assert np.mean(gradient) == pytest.approx(0.5, abs=0.035)
    assert np.mean(lira) > 0.9 and np.mean(both) == pytest.approx(np.mean(lira), abs=0.02)


@pytest.mark.parametrize("name", WHITE_BOX)
def test_signals_without_internals_or_with_others_are_refused_in_one_sentence(name):
    others = references(0)[1]
    with pytest.raises(MiaError, match="the signals hold no internals"):
        ATTACKS.get(name)().fit(replace(others, internals=None))
    with pytest.raises(MiaError, match=r"internals must hold 4 numbers .*hidden_norm"):
        ATTACKS.get(name)().fit(replace(others, internals=others.internals[..., :2]))
    assert ATTACKS.get(name).needs == ("internals",)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    settings = dict(max_speakers=0, max_utterances=0, epochs=20, n_references=6)
    return ReferenceStudy(
        ShadowStudy(Dataset("demo:12x8", "smoke", 0, "cpu", tmp_path_factory.mktemp("outputs"), settings=settings))
    )


@pytest.fixture(scope="module")
def rows(trained):
    return np.flatnonzero((trained.signals.member >= 0).any(0))


@pytest.mark.parametrize("name", WHITE_BOX)
def test_trained_models_give_members_away_and_one_that_saw_none_does_not(trained, rows, name):
    internals, known = trained.released.internals(rows), trained.signals.columns(rows)
    known = replace(known, internals=internals[:-1])
    unexposed = replace(trained._unexposed.columns(rows), internals=internals[-1:])
    attack, member = ATTACKS.get(name)().fit(known.without(0)), known.member[0] == 1
    exposed, control = (roc_auc_score(member, attack.score(s)[0]) for s in (known.pick([0]), unexposed))
    assert exposed > 0.9 and control == pytest.approx(0.5, abs=0.2)


def test_internals_and_inputs_of_chosen_fragments_are_those_of_all_and_come_from_the_cache(trained, rows):
    some, some_rows = trained.released.internals(rows[:3]), rows[:3]
    assert some.shape == (8, 3, len(INTERNALS)) and some.dtype == np.float64
    np.testing.assert_allclose(some, trained.released.internals(rows)[:, :3], rtol=1e-4)
    before = len(trained.cache.timings)
    np.testing.assert_array_equal(trained.released.internals(some_rows), some)
    assert trained.cache.timings[before:][0]["cached"]
    inputs, features = trained.released.inputs(some_rows), trained.features[some_rows].numpy()
    np.testing.assert_allclose(inputs[:, : features.shape[2]], features.mean(1), rtol=1e-4, atol=1e-5)
    assert inputs.dtype == np.float64 and inputs.shape == (3, 2 * features.shape[2])
