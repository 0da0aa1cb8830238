"""PMIA: proxies by hand, what of a fragment's own models may count, and where proxies tell more than offline LiRA knows."""

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score
from test_calibrated import references, two_classes

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.lira import predictions
from mia_lib.attacks.proxy import ALL_AS
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

NAMES = ("pmia_global", "pmia_class", "pmia_instance")


def of_speakers(phi, labels, member):
    """Signals of two speakers whose logit-scaled confidence is phi [K, N]."""
    phi, labels = np.asarray(phi, float), np.tile(labels, (len(phi), 1))
    logits = np.where(labels[..., None] == np.arange(2), phi[..., None], 0.0)
    return Signals(logits, labels, np.asarray(member), True)


@pytest.mark.parametrize(
    "name, options, proxies",
    [
        ("pmia_global", {}, [2, 6, 4, 4, 9]),
        ("pmia_class", {}, [2, 4]),
        ("pmia_instance", {"neighbours": 3}, [4, 6, 9]),  # the fragment itself, the one below it, the one above
    ],
)
def test_proxies_by_hand(name, options, proxies):
    """Of the first fragment, on which models 1 and 2 did not train; of the fourth what model 0 says does not count."""
    member = np.array([[1, 0, 1, 0], [0, 1, 1, 1], [0, 1, 0, 1]])
    phi = np.array([[70.0, 5.0, 50.0, -8.0], [1.0, 2.0, 6.0, 4.0], [-1.0, 4.0, 1.0, 9.0]])
    attack = ATTACKS.get(name)(**options).fit(of_speakers(phi, [0, 0, 1, 1], member))
    everyone = np.array([2.0, 6, 4, 4, 9])
    n = len(proxies) + ALL_AS
    centre = (sum(proxies) + ALL_AS * everyone.mean()) / n
    squares = sum(np.square(proxies)) + ALL_AS * np.mean(everyone**2)
    scale = np.sqrt((squares - n * centre**2) / (n - 1) * (1 + 1 / n))
    outside = [values[0] for values in predictions(phi, (member == 0,))[0]]
    expected = student.logpdf(3.0, n - 1, centre, scale) - student.logpdf(3.0, *outside)
    target = of_speakers([[3.0] * 4], [0, 0, 1, 1], [[-1] * 4])
    assert attack.score(target)[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("name", NAMES)
def test_what_models_say_that_trained_on_a_fragment_changes_its_score_in_no_way_but_that_of_others(name):
    target, others = references(0, n=200, reserved=20)
    member = others.member.copy()
    member[:, 8] = member[:, 7]  # the same coins: more of the same recording
    others = others.with_members(member)
    before = ATTACKS.get(name)().fit(others).score(target)
    logits = others.logits.copy()
    inside = member[:, 7] == 1
    logits[inside, 7:9] += np.random.default_rng(1).normal(0, 9, logits[inside, 7:9].shape)
    changed = Signals(logits, others.labels, member, True, others.population)
    after = ATTACKS.get(name)().fit(changed).score(target)
    np.testing.assert_array_equal(after[:, 7:9], before[:, 7:9])
    assert (after != before).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_fragment_that_all_models_trained_on_is_judged_by_others_alone(name):
    target, others = references(1, n=200, reserved=20)
    member = others.member.copy()
    member[:, 7] = 1
    others = others.with_members(member)
    before = ATTACKS.get(name)().fit(others).score(target)
    logits = others.logits.copy()
    logits[:, 7] = np.random.default_rng(1).normal(0, 9, logits[:, 7].shape)
    after = ATTACKS.get(name)().fit(Signals(logits, others.labels, member, True, others.population)).score(target)
    np.testing.assert_allclose(after, before, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("models", [2, 3, 5])
def test_few_models_and_whatever_coins_leave_a_score_for_every_fragment(name, models):
    rng = np.random.default_rng(models)
    target, others = references(2, models=models + 1, n=120, reserved=20)
    coins = rng.random(others.member.shape) < rng.choice([0.0, 0.1, 0.5, 1.0], others.member.shape[1])
    scattered = others.with_members(np.where(others.member >= 0, coins, -1))
    assert np.isfinite(ATTACKS.get(name)().fit(scattered).score(target)).all()


@pytest.mark.parametrize("name", NAMES)
def test_models_that_are_not_in_use_change_nothing(name):
    target, others = references(0, models=17, n=100, reserved=20)
    few = others.audit_only((np.arange(16) < 6)[:, None])
    alone = others.pick(list(range(6)))
    scores = [ATTACKS.get(name)().fit(s).score(target) for s in (few, alone)]
    np.testing.assert_allclose(*scores, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_without_another_fragment_there_is_no_proxy(name):
    with pytest.raises(MiaError, match="to be a proxy"):
        ATTACKS.get(name)().fit(two_classes([[1.0], [2.0]], [[1], [0]]))


def simulated(seed, rise, models=9, n=2000, speakers=20):
    """Model 0 as target, the others as references: members rise by `rise(difficulty, speaker)`."""
    rng = np.random.default_rng(seed)
    member = rng.integers(2, size=(models, n))
    ease, speaker = rng.normal(0, 3, n), rng.integers(speakers, size=n)
    phi = ease + member * rise(ease, speaker) + rng.standard_normal((models, n))
    logits = np.zeros((models, n, speakers))
    logits[:, np.arange(n), speaker] = phi + np.log(speakers - 1)
    signals = Signals(logits, np.tile(speaker, (models, 1)), member, True)
    return signals.pick([0]), signals.pick(list(range(1, models)))


def gains(name, rise, other="lira_offline"):
    """AUC above that of another attack, of five seeds."""

    def auc(attack, target, others):
        return roc_auc_score(target.member[0], ATTACKS.get(attack)().fit(others).score(target)[0])

    pairs = [simulated(seed, rise) for seed in range(5)]
    return np.array([auc(name, *pair) - auc(other, *pair) for pair in pairs])


def by_difficulty(ease, speaker):
    """Members are all about as sure, unless they are easy anyhow."""
    return np.maximum(4 - ease, 0)


def by_speaker(ease, speaker):
    """Members are as sure as it is usual for their speaker."""
    return np.where(speaker % 2, 8, 0) - ease


def alike(ease, speaker):
    return np.full(len(ease), 3)


@pytest.mark.parametrize("name", NAMES)
def test_proxies_beat_offline_lira_where_hard_fragments_rise_more(name):
    assert gains(name, by_difficulty).min() > 0.04


def test_proxies_of_the_same_speaker_tell_most_where_speakers_differ_in_how_sure_members_are():
    assert gains("pmia_class", by_speaker).min() > 0.15
    for other in ("pmia_global", "pmia_instance"):
        assert gains("pmia_class", by_speaker, other).min() > 0.04


def test_where_all_rise_alike_only_proxies_that_are_as_hard_are_no_worse_than_offline_lira():
    assert np.abs(gains("pmia_instance", alike)).max() < 0.01
    assert max(gains(name, alike).max() for name in ("pmia_global", "pmia_class")) < -0.02
