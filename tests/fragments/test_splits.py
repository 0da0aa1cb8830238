"""Splits never leak: no source on two sides, no target data in the shadows, balanced audits."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mia_lib.fragments import splits as protocols
from mia_lib.support.errors import MiaError, UsageError


@st.composite
def manifests(draw):
    """Speakers with several sources, each recorded one to three times and cut into one to three fragments."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    rows = [
        (f"s{s}", f"s{s}-{i}", f"s{s}-{i}-r{r}")
        for s in range(draw(st.integers(8, 20)))
        for i in range(rng.integers(4, 9))
        for r in range(rng.integers(1, 4))
        for _ in range(rng.integers(1, 4))
    ]
    return pd.DataFrame(rows, columns=["speaker", "source", "utterance"])


@settings(max_examples=30, deadline=None)
@given(manifests(), st.integers(0, 99))
def test_no_source_is_on_two_sides_and_shadows_share_nothing_with_the_target(manifest, seed):
    target, shadows = protocols.shadow_attack_splits(manifest, 3, 0.5, seed)
    for split in (target, *shadows):
        roles = pd.DataFrame({"source": manifest["source"], "role": split.role}).groupby("source")["role"].nunique()
        assert roles.max() == 1
        assert (split.labels(manifest)[split.train()] >= 0).all()
        unseen = set(manifest["speaker"][split.role == protocols.UNSEEN])
        assert unseen and not unseen & set(split.speakers)
    used = set(manifest["speaker"][target.role != protocols.NONE])
    for shadow in shadows:
        assert not used & set(manifest["speaker"][shadow.role != protocols.NONE])


@settings(max_examples=20, deadline=None)
@given(manifests(), st.integers(0, 99), st.sampled_from(sorted(protocols.PROTOCOLS)))
def test_audit_sets_are_balanced_and_hold_the_right_roles(manifest, seed, protocol):
    target, _ = protocols.shadow_attack_splits(manifest, 1, 0.5, seed)
    member = protocols.membership(target, protocol, seed)
    assert (member == 1).sum() == (member == 0).sum() > 0
    sides = {"utterance": (1, 2), "speaker": (2, 3), "paper": (1, 3)}[protocol]
    assert set(target.role[member == 1]) == {sides[0]} and set(target.role[member == 0]) == {sides[1]}


@settings(max_examples=20, deadline=None)
@given(manifests(), st.integers(0, 99), st.integers(1, 9), st.sampled_from([0.0, 0.3]), st.sampled_from([0.0, 0.2]))
def test_coins_are_tossed_for_whole_sources_and_what_is_reserved_is_the_same_for_all(
    manifest, seed, models, population, defender
):
    speakers = sorted(manifest["speaker"].unique())[:5]
    splits, _ = protocols.coin_splits(manifest, speakers, models, seed, population, defender)
    trained = np.stack([s.role == protocols.TRAIN for s in splits])
    mine = manifest["speaker"].isin(speakers).to_numpy()
    for role, share in ((protocols.POPULATION, population), (protocols.REFERENCE, defender)):
        reserved = splits[0].role == role
        assert all(((s.role == role) == reserved).all() for s in splits)
        assert reserved.any() <= (share > 0)
        mine = mine & ~reserved
    assert not trained[:, ~mine].any() and (population == 0 or (splits[0].role == protocols.POPULATION).any())
    counts = pd.DataFrame(trained[:, mine].T).groupby(manifest["source"][mine].to_numpy()).nunique()
    assert counts.to_numpy().max() == 1
    more, _ = protocols.coin_splits(manifest, speakers, models + 2, seed, population, defender)
    assert all((a.role == b.role).all() for a, b in zip(splits, more, strict=False))


COINS = pd.DataFrame([(f"s{s}", f"s{s}-{i}") for s in range(40) for i in range(8)], columns=["speaker", "source"])


def test_who_else_trained_on_a_recording_says_nothing_and_each_side_is_as_likely():
    """Exact halves betray members: where a model trained on a source, fewer of the others did (AUC .85 of 17 models)."""
    aucs, trained = [], []
    for seed in range(12):
        splits, _ = protocols.coin_splits(COINS, sorted(COINS["speaker"].unique()), 9, seed)
        inside = np.stack([split.role == protocols.TRAIN for split in splits])
        trained.append(inside.mean())
        aucs += [roc_auc_score(inside[k], np.delete(inside, k, 0).mean(0)) for k in range(9)]
    error = np.std(aucs, ddof=1) / np.sqrt(len(aucs))
    assert abs(np.mean(aucs) - 0.5) < 3 * error < 0.02
    assert np.mean(trained) == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(12 * 9 * 320))


def test_both_sides_of_a_model_keep_two_recordings_of_each_speaker_and_draws_thrown_away_are_counted():
    few = COINS[COINS["source"].str[-1].astype(int) < 4].reset_index(drop=True)
    splits, redrawn = protocols.coin_splits(few, sorted(few["speaker"].unique()), 9, 0)
    for split in splits:
        sides = pd.Series(split.role == protocols.TRAIN).groupby(few["speaker"]).sum()
        assert set(sides) == {2}
    assert redrawn == pytest.approx(9 * 40 * (16 / 6 - 1), rel=0.15)  # 6 of 16 draws of four are two and two
    assert protocols.coin_splits(COINS, sorted(COINS["speaker"].unique()), 9, 0)[1] < 9 * 40 * 0.15


def test_validation_sources_are_neither_trained_on_nor_audited():
    manifest = pd.DataFrame(
        [(f"s{s}", f"s{s}-{i}") for s in range(12) for i in range(10)], columns=["speaker", "source"]
    )
    target, _ = protocols.shadow_attack_splits(manifest, 1, 0.5, 0, validation_share=0.2)
    validation = target.role == protocols.VALIDATION
    assert validation.any() and (protocols.membership(target, "paper", 0)[validation] == -1).all()


def test_the_papers_split_takes_its_numbers_of_speakers():
    rows = [(f"c{s}", f"c{s}-{i}", "train-clean-100") for s in range(251) for i in range(5)]
    rows += [(f"t{s}", f"t{s}-{i}", "test-clean") for s in range(40) for i in range(5)]
    manifest = pd.DataFrame(rows, columns=["speaker", "source", "subset"])
    target, (shadow,) = protocols.lab41_splits(manifest, 1, 0)
    assert len(target.speakers) == 125 and len(target.train()) == 125 * 4 and len(shadow.speakers) == 62
    assert set(manifest["subset"][target.role == protocols.UNSEEN]) == {"test-clean"}
    assert manifest["speaker"][shadow.role == protocols.UNSEEN].nunique() == 64
    clean = manifest["subset"] == "train-clean-100"
    for few, there in (
        (manifest[~clean], "but 0 and 40 are"),
        (manifest.iloc[5:], "250 and 40"),
        (manifest.iloc[:-5], "39"),
    ):
        with pytest.raises(MiaError, match=f"251 speakers.*{there}"):
            protocols.lab41_splits(few, 1, 0)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(UsageError, match="utterance, speaker, paper"):
        protocols.membership(protocols.Split(("a",), np.zeros(3, np.int8)), "person", 0)


def test_the_larger_side_of_an_audit_is_thinned_at_random_not_to_its_first_fragments():
    role = np.repeat(np.array([protocols.TRAIN, protocols.UNSEEN], np.int8), (10, 40))
    split = protocols.Split(("a",), role)
    drawn = np.stack([protocols.membership(split, "paper", seed) for seed in range(200)])
    assert (drawn[:, :10] == 1).all()
    np.testing.assert_allclose((drawn[:, 10:] == 0).mean(0), 10 / 40, atol=0.15)  # five standard errors


@settings(max_examples=20, deadline=None)
@given(manifests(), st.integers(0, 99), st.sampled_from([0.2, 0.5, 0.9]))
def test_the_defenders_recordings_are_set_aside_whole_and_some_of_each_speaker_are_left(manifest, seed, share):
    target, _ = protocols.shadow_attack_splits(manifest, 1, 0.5, seed)
    split = protocols.set_reference_aside(manifest, target, share, seed)
    changed = split.role != target.role
    assert set(target.role[changed]) == {protocols.HELD_OUT} and set(split.role[changed]) == {protocols.REFERENCE}
    table = manifest.assign(role=split.role)
    assert table.groupby("source")["role"].nunique().max() == 1
    before = manifest[target.role == protocols.HELD_OUT].groupby("speaker")["source"].nunique()
    after = table[table["role"] == protocols.HELD_OUT].groupby("speaker")["source"].nunique()
    taken = before - after.reindex(before.index, fill_value=0)
    expected = (share * before).round().clip(lower=1, upper=before - 1).where(before > 1, 0)
    assert (taken == expected).all()


def test_no_two_shadows_of_a_target_have_the_same_split():
    rows = [(f"c{s}", f"c{s}-{i}", "train-clean-100") for s in range(251) for i in range(5)]
    rows += [(f"t{s}", f"t{s}-{i}", "test-clean") for s in range(40) for i in range(5)]
    manifest = pd.DataFrame(rows, columns=["speaker", "source", "subset"])
    for shadows in (protocols.lab41_splits(manifest, 4, 0)[1], protocols.shadow_attack_splits(manifest, 4, 0.5, 0)[1]):
        assert len({split.role.tobytes() for split in shadows}) == 4
    strangers = {frozenset(manifest["speaker"][split.role == protocols.UNSEEN]) for split in shadows}
    assert len(strangers) == 4  # each divides the pool of speakers anew
