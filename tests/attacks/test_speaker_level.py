"""Attacks on persons: features and enrolment by hand, a real effect, chance without one, and bad input.

The tests of all attacks in test_calibrated.py leave these out, because there every person has members and non-members.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.speaker_level import person_features
from mia_lib.fragments.enrolment import enrol, largest_enrolment
from mia_lib.fragments.splits import HELD_OUT, TRAIN, UNSEEN, Split
from mia_lib.signals.signals import Signals
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.studies.speaker import PERSON_ATTACKS, SpeakerStudy
from mia_lib.support.errors import MiaError

POSTERIOR, LARGEST = slice(0, 5), slice(11, 14)  # columns: closeness of posteriors; largest posterior


def people(seed, leak=3.0, models=3, persons=60, fragments=5, classes=20):
    """Model 0 as target, the others as shadows: a member's fragments all lean towards one class, by `leak`."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), fragments)
    who = np.stack([rng.permutation(persons) < persons // 2 for _ in range(models)]).astype(int)
    logits = 1.5 * rng.standard_normal((models, len(person), classes))
    favourite = rng.integers(classes, size=(models, persons))[:, person]
    lean = np.take_along_axis(logits, favourite[..., None], -1) + leak * who[:, person, None]
    np.put_along_axis(logits, favourite[..., None], lean, -1)
    everything = Signals(logits, np.full(who[:, person].shape, -1), who[:, person], person=person)
    return everything.pick([0]), everything.pick(list(range(1, models)))


def fitted(name, shadows):
    return ATTACKS.get(name)().fit(shadows)


def person_auc(name, target, shadows):
    return roc_auc_score(target.member[0, ::5], fitted(name, shadows).score(target)[0, ::5])


def test_features_of_a_person_by_hand():
    with np.errstate(divide="ignore"):
        logits = np.log([[0.5, 0.25, 0.25, 0.0], [0.5, 0.25, 0.25, 0.0], [0.25, 0.25, 0.5, 0.0]])
    x = person_features(logits, np.array([0, 0, 1]))
    across = 0.3125 / 0.375
    np.testing.assert_allclose(x[:, POSTERIOR], [[1, 0, 1, across, across]] * 2, atol=1e-7)
    np.testing.assert_allclose(x[:, LARGEST], [[0.5, 0.5, 0.0]] * 2, atol=1e-12)
    np.testing.assert_allclose(x[:, 14], 1.5 * np.log(2))
    np.testing.assert_allclose(x[:, 15:], np.log(2))


def test_fragments_that_disagree_are_far_from_each_other_by_hand():
    logits = np.array([[40.0, 0, 0], [0, 40.0, 0], [0, 0, 40.0]])
    x = person_features(logits, np.array([0, 0, 1]))
    np.testing.assert_allclose(x[0, POSTERIOR], [0.5**0.5, 0, 0, 0, 0], atol=1e-7)
    assert x[0, 10] == 0.5 and x[1, 10] == 1.0  # the share of the most frequent class


def test_a_second_look_at_the_same_fragments_changes_nothing_but_pairs():
    target, _ = people(0)
    once, twice = (person_features(np.tile(target.logits[0], (n, 1)), np.tile(target.person, n)) for n in (1, 2))
    same = np.setdiff1d(np.arange(17), [2, 7])
    np.testing.assert_allclose(once[:, same], twice[:, same], atol=1e-9)


@pytest.mark.parametrize("name", PERSON_ATTACKS)
def test_members_are_found_and_nobody_where_no_model_remembers(name):
    least = {"speaker_level": 0.85, "mean_posterior": 0.7}  # twenty other seeds: from .88 and .75
    assert min(person_auc(name, *people(seed)) for seed in range(5)) > least[name]
    still = [person_auc(name, people(seed, leak=0.0)[0], people(seed)[1]) for seed in range(8)]
    assert np.mean(still) == pytest.approx(0.5, abs=0.07)


def test_the_attack_beats_its_baseline():
    pairs = [[person_auc(name, *people(seed)) for name in PERSON_ATTACKS] for seed in range(5)]
    assert np.diff(pairs).mean() < -0.05


@pytest.mark.parametrize("name", PERSON_ATTACKS)
def test_a_person_has_one_score_which_membership_and_strangers_to_the_audit_do_not_change(name):
    target, shadows = people(1)
    attack = fitted(name, shadows)
    scores = attack.score(target)[0].reshape(60, 5)
    assert (scores == scores[:, :1]).all() and len(np.unique(scores)) > 30
    np.testing.assert_array_equal(attack.score(target.with_members(-np.ones_like(target.member)))[0], scores.ravel())
    unused = replace(target, person=np.where(target.person < 20, -1, target.person))
    alone = target.columns(target.person >= 20)
    assert np.isnan(attack.score(unused)[0, :100]).all()
    np.testing.assert_allclose(attack.score(unused)[:, 100:], attack.score(alone))


@pytest.mark.parametrize("name", PERSON_ATTACKS)
def test_missing_classes_single_fragments_and_single_persons_have_scores(name):
    target, shadows = people(2)
    logits = target.logits.copy()
    logits[:, ::2, 7:] = -np.inf  # an answer cut to its largest posteriors
    logits[..., 15:] = -np.inf
    single = replace(target, logits=logits).columns(np.arange(0, 300, 5))
    attack = fitted(name, shadows)
    assert np.isfinite(attack.score(single)).all() and np.isfinite(attack.score(single.columns(np.array([3])))).all()
    few = shadows.audit_only(np.arange(300) % 5 == 0)  # single fragments where it learns
    assert np.isfinite(fitted(name, few).score(single)).all()


@pytest.mark.parametrize("name", PERSON_ATTACKS)
@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda s: replace(s, person=None), "whose voice each fragment is"),
        (lambda s: replace(s, person=np.full(300, -1)), "at least one person"),
        (lambda s: s.with_members(np.tile(np.arange(300) % 2, (2, 1))), "person 0 is member and non-member of model 0"),
        (lambda s: s.with_members(np.ones_like(s.member)), "no non-members among the persons"),
        (lambda s: s.with_members(-np.ones_like(s.member)), "no members among the persons"),
    ],
)
def test_shadows_that_cannot_teach_are_refused_in_one_sentence(name, change, sentence):
    with pytest.raises(MiaError, match=sentence):
        fitted(name, change(people(0)[1]))


def corpus():
    """Two speakers with 3 held-out and 2 trained recordings, two unseen with 4 and 2; two fragments of each recording."""
    plan = [
        ("a", TRAIN, 2),
        ("a", HELD_OUT, 3),
        ("b", TRAIN, 2),
        ("b", HELD_OUT, 3),
        ("c", UNSEEN, 4),
        ("d", UNSEEN, 2),
    ]
    rows = [(s, f"{s}{role}{i}", role) for s, role, n in plan for i in range(n) for _ in range(2)]
    table = pd.DataFrame(rows, columns=["speaker", "source", "role"])
    return table, Split(("a", "b"), table["role"].to_numpy(np.int8))


def test_enrolment_takes_as_many_recordings_of_everybody_and_none_that_was_trained_on():
    manifest, split = corpus()
    assert largest_enrolment(manifest, split) == 3
    for size, persons in ((1, "abcd"), (2, "abcd"), (3, "abc")):
        member = enrol(manifest, split, size, seed=0)
        used = manifest.assign(member=member)[member >= 0]
        counts = used.groupby("speaker")["source"].nunique()
        assert counts.to_dict() == dict.fromkeys(persons, size) and not (used["role"] == TRAIN).any()
        assert (used["member"] == used["speaker"].isin(["a", "b"])).all()
    drawn = {enrol(manifest, split, 1, seed).tobytes() for seed in range(9)}
    assert len(drawn) > 1 and enrol(manifest, split, 1, 4).tobytes() == enrol(manifest, split, 1, 4).tobytes()
    for size in (0, 4):
        with pytest.raises(MiaError, match="must be 1 to 3 recordings"):
            enrol(manifest, split, size, 0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    settings = dict(max_speakers=0, max_utterances=0, epochs=8, shadow_epochs=8, n_shadows=2, repeats=2, bootstrap=20)
    dataset = Dataset("demo:24x6", "smoke", 0, "cpu", tmp_path_factory.mktemp("outputs"), settings=settings)
    return SpeakerStudy(ShadowStudy(dataset))


def test_an_audit_of_persons_has_one_example_per_person(study):
    for k, audit in enumerate(study.audits("speaker_level", 2)):
        split = study.splits[study.targets()[k]]
        speakers = study.clusters[audit.rows]
        np.testing.assert_array_equal(audit.clusters, speakers)
        assert len(set(speakers)) == len(speakers) == 12
        np.testing.assert_array_equal(audit.member, np.isin(speakers, split.speakers))
        assert set(split.role[audit.rows]) == {HELD_OUT, UNSEEN}


def test_the_control_answers_for_people_whom_its_model_never_heard(study):
    audits, control = (study.audits("mean_posterior", 2, control) for control in (False, True))
    for k, (audit, other) in enumerate(zip(audits, control, strict=True)):
        np.testing.assert_array_equal(audit.rows, other.rows)
        heard = study.splits[study.targets()[k] + study.base.shadows].speakers
        assert not set(other.clusters) & set(heard) and (audit.scores != other.scores).all()


def test_records_cover_the_sizes_that_people_have_recordings_for(study):
    records = study.records((1, 2, 50))
    assert set(records["attack"]) == set(PERSON_ATTACKS) and set(records["protocol"]) == {"speaker"}
    for size in (1, 2):
        ends = [f"{m}_enrolment_{size}" for m in ("auc", "tpr_at_fpr_1e-1", "auc", "audit_units")]
        ends[2] += "_control_unexposed"
        assert set(ends) <= set(records["metric"])
    assert not records["metric"].str.contains("_50").any()
    shown = records[records["low"].notna()]  # so few persons show no rate at 10 %
    assert (shown["low"] <= shown["high"]).all() and "auc_enrolment_1" in set(shown["metric"])
    with pytest.raises(MiaError, match="2 recordings are the most"):
        study.records((50,))
