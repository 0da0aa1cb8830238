"""The score that each attack gives to a few fragments, written down, and the choices that scores rest on.

Numbers measured before are found again only while these stay. The attacks themselves are checked by hand elsewhere.
"""

import inspect

import numpy as np
import pytest
from test_calibrated import references
from test_speaker_level import people

from mia_lib.attacks import (
    ATTACKS,
    combined,
    label_only,
    lira,
    persons,
    proxy,
    quantile,
    queries,
    rmia,
    shokri,
    speaker_level,
    top3_network,
)
from mia_lib.attacks.base import check_shadows, fragment_attacks, needs_of
from mia_lib.attacks.combined import compress
from mia_lib.attacks.label_only import mean_bits
from mia_lib.attacks.lira import deviation
from mia_lib.attacks.metrics import Loss
from mia_lib.attacks.persons import Persons, closeness, known_persons
from mia_lib.attacks.rmia import average, dominated
from mia_lib.attacks.threshold import best_threshold
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

CALIBRATED = {
    "base", "combined", "gradient_norm", "label_only_calibrated", "lira_offline", "lira_offline_queries", "lira_online",
    "lira_online_queries", "rmia_offline", "rmia_offline_queries", "rmia_online", "rmia_online_queries", "white_box",
}  # fmt: skip

# the scores of fragments 0, 1, 2 and 150, and the mean of all that have one
SCORES = {
    "base": [0.025004, -0.27157, 0.15857, -0.1147, -0.078946],
    "combined": [1.8318, -0.37493, 1.6673, -1.0342, 0.31555],
    "entropy": [-0.011654, -1.0764, -0.2515, -0.59345, -0.57029],
    "gap": [1.0, 0.0, 1.0, 1.0, 0.77727],
    "gradient_norm": [2.477, -0.63284, 1.1577, -1.0538, 0.019942],
    "label_only": [0.36467, -0.30628, 0.36467, 0.36467, 0.20927],
    "label_only_calibrated": [0.21981, -0.79653, 0.49127, 0.21981, 0.21065],
    "largest_posterior": [0.99866, 0.50529, 0.94817, 0.81947, 0.77763],
    "lira_offline": [3.0064, -8.9235e-05, 2.0629, -0.65628, 0.50973],
    "lira_offline_queries": [2.5615, -0.16585, 1.6017, -0.63748, 0.44365],
    "lira_online": [2.4723, -0.53694, 1.3414, -1.2427, 0.026681],
    "lira_online_queries": [1.8185, -0.46881, 0.87434, -0.97537, 0.020813],
    "loss": [-0.0013407, -1.0227, -0.053226, -0.19909, -0.66452],
    "modified_entropy": [0.0091074, -1.0129, 0.0031874, 0.20936, -0.57474],
    "quantile": [3.1265, -0.46917, 2.1417, -0.43934, 0.57127],
    "rmia_offline": [0.02005, 0.010025, 0.075188, 0.0050125, 0.039037],
    "rmia_offline_queries": [0.036591, 0.017544, 0.095739, 0.0090226, 0.055699],
    "rmia_online": [0.052632, 0.0050125, 0.06015, 0.0050125, 0.039244],
    "rmia_online_queries": [0.05614, 0.017544, 0.073684, 0.013534, 0.054339],
    "shokri": [0.79352, -0.18981, 0.27013, 0.38555, 0.21147],
    "top3_network": [0.6205, 0.45929, 0.59854, 0.53571, 0.54883],
    "true_posterior": [0.99866, 0.35961, 0.94817, 0.81947, 0.70008],
    "white_box": [2.0176, -0.42505, 1.4599, -1.016, 0.24176],
}
PERSONS = {
    "speaker_level": [-0.38062, -0.38062, -0.38062, 0.48366, -0.20119],
    "mean_posterior": [0.37218, 0.37218, 0.37218, 0.51649, 0.33641],
}


@pytest.fixture(scope="module")
def signals():
    return references(0, boost=1.0, models=9, n=400, classes=4, reserved=40)


def excerpt(scores):
    assert scores.shape[0] == 1
    return [*scores[0, [0, 1, 2, 150]], np.nanmean(scores)]


@pytest.mark.parametrize("name", SCORES)
def test_scores_of_fragments_stay_as_they_were(name, signals):
    target, others = signals
    attack = ATTACKS.get(name)(seed=0).fit(others)
    np.testing.assert_allclose(excerpt(attack.score(target)), SCORES[name], rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", PERSONS)
def test_scores_of_persons_stay_as_they_were(name):
    target, shadows = people(0, leak=1.0)
    np.testing.assert_allclose(excerpt(ATTACKS.get(name)().fit(shadows).score(target)), PERSONS[name], rtol=2e-3)


def test_what_is_measured_of_posteriors_stays_as_it_was():
    target, _ = people(0, leak=1.0)
    means = [
        *(0.6618868738851549, 0.08156467207455836, 0.29996016264386494, 0.8640440009329494, 0.6875842548338137),
        *(0.4422158481665752, 0.14510202207910253, -0.0008373055164241906, 0.5209969265766276, -0.003949096848506092),
        *(0.2933333333333332, 0.33641202276661464, 0.20187186610038815, 0.1136020264653444, 2.1569881457768276),
        *(0.6890170571346889, 0.152179649426638),
    ]
    found = speaker_level.person_features(target.logits[0], target.person).mean(0)
    np.testing.assert_allclose(found, means, rtol=1e-9, atol=1e-12)


def test_every_attack_has_scores_written_down():
    assert {*SCORES, *PERSONS} <= set(ATTACKS.names()) and list(PERSONS) == ["speaker_level", "mean_posterior"]
    assert set(SCORES) <= set(fragment_attacks())


def test_where_there_are_many_fragments_some_are_drawn_to_tune_on_or_learn_from(signals, monkeypatch):
    target, others = signals
    monkeypatch.setattr(rmia, "TUNING_FRAGMENTS", 60)
    monkeypatch.setattr(top3_network, "MOST", 500)
    tuned = [ATTACKS.get(name)(seed=1).fit(others) for name in ("rmia_online", "rmia_offline")]
    assert [(attack.temperature, attack.a) for attack in tuned] == [(2.0, None), (1.0, 1.0)]
    network = ATTACKS.get("top3_network")(seed=0).fit(others)
    np.testing.assert_allclose(excerpt(network.score(target)), [0.66718, 0.41875, 0.64301, 0.5718, 0.55658], rtol=2e-3)


def test_a_combination_learns_its_threshold_where_it_learns_its_weights(signals):
    attacks = [ATTACKS.get(name)(seed=0).fit(signals[1]) for name in ("combined", "white_box")]
    np.testing.assert_allclose([attack.threshold for attack in attacks], [0.44302, 0.33446], rtol=2e-3)


def test_a_fragment_that_no_model_trained_on_is_in_the_audit_with_which_rmia_compares(signals):
    never = signals[1].with_members(np.where(np.arange(440) == 7, 0, signals[1].member))
    assert ATTACKS.get("rmia_offline")(temperature=2.0, a=0.3).fit(never).z.tolist() == [True] * 400 + [False] * 40


def test_which_attacks_are_calibrated_and_what_each_needs_to_see():
    known = {*SCORES, *PERSONS}
    assert {name for name in known if ATTACKS.get(name).calibrated} == CALIBRATED
    needs = {need: {name for name in known if need in needs_of(name)} for need in ("copies", "internals", "inputs")}
    assert needs["copies"] == {name for name in known if name.endswith("queries") or "label_only" in name}
    assert needs["internals"] == {"gradient_norm", "white_box"} and needs["inputs"] == {"quantile"}
    assert needs_of("loss") == () and needs_of("speaker_level") == ("person",)


def test_the_constants_of_the_attacks_are_those_of_their_papers_or_measured():
    assert (combined.PRETENDERS, label_only.PULL, queries.BUDGET, quantile.FEWEST) == (
        2,
        2.0,
        5,
        8,
    )
    assert (rmia.TEMPERATURES, rmia.CORRECTIONS, rmia.TUNERS) == ((1.0, 2.0, 4.0, 8.0, 16.0), (0.0, 0.3, 0.6, 1.0), 3)
    assert (rmia.TUNING_FRAGMENTS, proxy.NEIGHBOURS, proxy.ALL_AS, lira.SMALLEST_VARIANCE) == (3000, 64, 8, 1e-12)
    assert (top3_network.MOST, top3_network.BATCH, speaker_level.SMALLEST_LOG) == (50_000, 512, -30.0)
    assert (shokri.FEWEST, persons.STRENGTH, top3_network.TOP, top3_network.HIDDEN) == (20, 0.1, 3, 64)
    assert inspect.signature(ATTACKS.get("rmia_online")).parameters["gamma"].default == 2.0
    assert [part.__name__ for part in combined.PARTS] == [
        "Entropy",
        "Gap",
        "LiRA",
        "Loss",
        "ModifiedEntropy",
        "RMIA",
        "Shokri",
    ]


def test_a_threshold_lies_halfway_to_the_next_lower_score_and_the_lowest_score_is_its_own():
    scores = np.array([0.2, 0.4, 0.8, 0.9])
    assert best_threshold(scores, np.array([0, 0, 1, 1], bool)) == pytest.approx(0.6)
    assert best_threshold(scores, np.array([1, 0, 1, 1], bool)) == pytest.approx(0.6)
    assert best_threshold(np.array([0.3, 0.3, 0.5]), np.array([1, 0, 1], bool)) == pytest.approx(0.4)


def test_scores_of_parts_are_compressed_by_hand():
    np.testing.assert_allclose(compress(np.array([-np.e + 1, 0.0, np.e - 1, np.inf])), [-1, 0, 1, np.inf])


def test_deviations_by_hand():
    phi = np.array([[0.0, 5.0, 1.0], [2.0, 9.0, 1.0], [50.0, 7.0, 9.0]])
    mask = np.array([[1, 1, 1], [1, 1, 1], [0, 1, 0]], bool)
    centre = np.array([1.0, 7.0, 1.0])
    np.testing.assert_allclose(deviation(phi, mask, centre, False), [1.0, (8 / 3) ** 0.5, 1e-6])
    np.testing.assert_allclose(deviation(phi, mask, centre, True), [(10 / 7) ** 0.5] * 3)
    np.testing.assert_allclose(deviation(phi, mask & [True, True, False], centre, False)[2], 1e-6)


def test_a_fragment_that_only_outside_models_hold_is_averaged_over_these():
    p = np.array([[0.2, 0.4], [0.6, 0.8]])
    inside, outside = np.array([[True, False], [False, False]]), np.array([[False, True], [True, True]])
    np.testing.assert_allclose(average(p, inside, outside, None), [0.4, 0.6])
    np.testing.assert_allclose(average(p, inside, outside, 0.0), [0.8, 0.8])
    np.testing.assert_allclose(average(p, inside, outside, 1.0), [0.6, 0.6])


def test_a_fragment_outside_the_population_is_compared_with_all_of_it():
    ratio = np.array([[4.0, 2.0, 1.0, 0.5]])
    scores = dominated(ratio, np.array([False, True, True, True]), 2.0)
    np.testing.assert_allclose(scores, [[1.0, 1.0, 0.5, 0.0]])


def test_mean_bits_are_kept_within_a_thousandth_of_the_ends():
    means = mean_bits(np.array([[[4.0, 0.0]]]), np.array([4, 4]), np.array([1.0]), share=1.0)
    np.testing.assert_allclose(means, [[[0.999, 0.001]]])


def test_averages_over_persons_by_hand():
    averages = Persons(np.array([0, 1, 0, 0]))
    values = np.array([1.0, 7.0, 4.0, 1.0])
    np.testing.assert_allclose([averages.mean(values), averages.smallest(values)], [[2.0, 7.0], [1.0, 7.0]])
    np.testing.assert_allclose(averages.deviation(values), [2**0.5, 0.0])


def test_closeness_of_three_persons_by_hand():
    vectors = np.array([[1.0, 0, 0], [0, 2.0, 0], [3.0, 0, 0], [0, 0, 1.0]])  # the first person has two
    own, spread, pairs, nearest, mean = closeness(vectors, Persons(np.array([0, 0, 1, 2])))
    np.testing.assert_allclose(own, [0.5**0.5, 1, 1], atol=1e-12)
    np.testing.assert_allclose(spread, 0, atol=1e-12)
    np.testing.assert_allclose(pairs, [0, 1, 1], atol=1e-12)
    np.testing.assert_allclose(nearest, [0.5**0.5, 0.5**0.5, 0], atol=1e-12)
    np.testing.assert_allclose(mean, [0.5**0.5 / 2, 0.5**0.5 / 2, 0], atol=1e-12)
    alone = closeness(vectors[:2], Persons(np.array([0, 0])))
    np.testing.assert_allclose(np.stack(alone)[:, 0], [0.5**0.5, 0, 0, 0, 0], atol=1e-12)


def test_the_nearest_other_person_may_lie_on_the_other_side():
    vectors = np.array(
        [[1.0, 0], [-1.0, 0], [-0.6, 0.8]]
    )  # of the first person both others lie more than 90 degrees off
    _, _, _, nearest, mean = closeness(vectors, Persons(np.arange(3)))
    np.testing.assert_allclose(nearest, [-0.6, 0.6, 0.6], atol=1e-12)
    np.testing.assert_allclose(mean, [-0.8, -0.2, 0.0], atol=1e-12)


def test_persons_of_a_shadow_are_those_in_its_audit():
    member = np.array([[1, 1, 0, -1, 0], [-1, -1, -1, -1, -1]])
    signals = Signals(np.zeros((2, 5, 3)), np.zeros((2, 5), int), member, person=np.array([4, 4, 0, 0, -1]))
    rows, code, who = known_persons(signals, 0)
    assert rows.tolist() == [0, 1, 2] and code.tolist() == [1, 1, 0] and who.tolist() == [False, True]
    assert [len(part) for part in known_persons(signals, 1)] == [0, 0, 0]


@pytest.mark.parametrize("member, missing", [([1, 1], "non-members"), ([0, 0], "members"), ([-1, -1], "members")])
def test_shadows_without_a_side_are_refused_by_the_side_they_lack(member, missing):
    shadows = Signals(np.zeros((1, 2, 3)), np.zeros((1, 2), int), np.array([member]))
    with pytest.raises(MiaError, match=f"hold no {missing}$"):
        check_shadows(shadows)
    with pytest.raises(MiaError, match=f"hold no {missing}$"):
        Loss().fit(shadows)


def test_metrics_are_the_numbers_themselves():
    logits = np.log([[[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]]])
    target = Signals(logits, np.array([[0, 2]]), np.array([[1, 0]]))
    expected = dict(gap=[1, 0], largest_posterior=[0.5, 0.7], loss=np.log([0.5, 0.2]), true_posterior=[0.5, 0.2])
    expected["entropy"] = [sum(p * np.log(p) for p in row) for row in ((0.5, 0.3, 0.2), (0.1, 0.7, 0.2))]
    for name, scores in expected.items():
        np.testing.assert_allclose(ATTACKS.get(name)().fit(target).score(target), [scores])
