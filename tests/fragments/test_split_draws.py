"""Small splits in full: which fragments play which part at a seed, how many are set aside, and what is drawn as a whole.

The draws at seed 0 are written down as they are: numbers measured before are found again only while these stay.
"""

import numpy as np
import pandas as pd
import pytest

from mia_lib.fragments import splits
from mia_lib.fragments.splits import HELD_OUT, NONE, POPULATION, TRAIN, UNSEEN, VALIDATION, Split

MANIFEST = pd.DataFrame([(f"s{s}", f"s{s}-{i}") for s in range(8) for i in range(4)], columns=["speaker", "source"])


def by_speaker(role):
    """The roles of MANIFEST's fragments as digits, a word for each speaker."""
    return " ".join("".join(map(str, row)) for row in np.asarray(role).reshape(-1, 4))


def test_the_speakers_and_recordings_of_target_and_shadows_at_seed_0():
    target, shadows = splits.shadow_attack_splits(MANIFEST, 2, 0.5, 0)
    assert by_speaker(target.role) == "2121 0000 3333 0000 1122 1122 3333 0000"
    assert target.speakers == ("s0", "s4", "s5")
    assert by_speaker(shadows[0].role) == "0000 1221 0000 1221 0000 0000 0000 3333"
    assert by_speaker(shadows[1].role) == "0000 2211 0000 3333 0000 0000 0000 1221"


def test_what_is_set_aside_for_the_defender_and_for_early_stopping_at_seed_0():
    target, _ = splits.shadow_attack_splits(MANIFEST, 1, 0.5, 0)
    reference, stopping = (
        f(MANIFEST, target, 0.5, 0) for f in (splits.set_reference_aside, splits.set_validation_aside)
    )
    assert by_speaker(reference.role) == "6121 0000 3333 0000 1162 1162 3333 0000"
    assert by_speaker(stopping.role) == "2421 0000 3333 0000 1422 4122 3333 0000"
    assert reference.speakers == stopping.speakers == target.speakers


def test_the_coins_of_reference_models_and_what_no_coin_decides_at_seed_0():
    three, redrawn = splits.coin_splits(MANIFEST, ["s1", "s4", "s6"], 3, 0)
    assert [by_speaker(split.role) for split in three] == [
        "0000 2112 0000 0000 1122 0000 1212 0000",
        "0000 1122 0000 0000 1212 0000 2121 0000",
        "0000 2121 0000 0000 2211 0000 1221 0000",
    ]
    assert redrawn == 18 and {split.speakers for split in three} == {("s1", "s4", "s6")}
    ten = pd.DataFrame([(s, f"{s}{i}") for s in "abc" for i in range(10)], columns=["speaker", "source"])
    two, redrawn = splits.coin_splits(ten, ["a", "c"], 2, 0, 0.2, 0.3)
    words = ["".join(map(str, split.role)) for split in two]
    assert words == ["266612155200000000006525162611", "266622155100000000006515162621"] and redrawn == 8


def test_the_papers_split_at_seed_0():
    rows = [(f"c{s:03}", f"c{s}-{i}", "train-clean-100") for s in range(251) for i in range(5)]
    rows += [(f"t{s}", f"t{s}-{i}", "test-clean") for s in range(40) for i in range(5)]
    manifest = pd.DataFrame(rows, columns=["speaker", "source", "subset"])
    target, (shadow,) = splits.lab41_splits(manifest, 1, 0)
    assert target.speakers[:5] == ("c002", "c005", "c007", "c009", "c010")
    assert shadow.speakers[:5] == ("c003", "c004", "c006", "c017", "c020")
    used = [split.role[split.role != NONE][:15].tolist() for split in (target, shadow)]
    assert used == [[1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 2], [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 2, 1, 1]]
    both = splits.lab41_splits(manifest, 1, 0, 0.25)
    assert all((split.role == VALIDATION).sum() == len(split.speakers) for split in (both[0], *both[1]))  # one of four


@pytest.mark.parametrize(
    "sources, share, aside", [(4, 0.01, 1), (10, 0.25, 2), (4, 0.9, 2), (3, 0.5, 1), (2, 0.5, 0), (1, 0.5, 0)]
)
def test_at_least_one_recording_is_of_the_population_and_at_least_two_are_left(sources, share, aside):
    manifest = pd.DataFrame({"speaker": "a", "source": [str(i) for i in range(sources)]})
    (split, _), _ = splits.coin_splits(manifest, ["a"], 2, 0, share)
    assert (split.role == POPULATION).sum() == aside


@pytest.mark.parametrize("share, trained", [(0.0, 1), (0.1, 1), (0.3, 3), (0.5, 5), (0.99, 9), (1.0, 9)])
def test_a_share_of_ten_recordings_is_trained_on_but_never_none_and_never_all(share, trained):
    manifest = pd.DataFrame({"speaker": "a", "source": [str(i) for i in range(10)]})
    split = splits.make_split(manifest, ["a"], [], share, np.random.default_rng(0))
    assert (len(split.train()), len(split.held_out())) == (trained, 10 - trained)


def test_the_validation_share_is_taken_from_the_recordings_trained_on():
    manifest = pd.DataFrame({"speaker": "a", "source": [str(i) for i in range(20)]})
    split = splits.make_split(manifest, ["a"], [], 0.5, np.random.default_rng(0), 0.3)
    assert np.bincount(split.role, minlength=5)[[TRAIN, HELD_OUT, VALIDATION]].tolist() == [7, 10, 3]


def test_a_share_of_each_speakers_recordings_is_set_aside_for_early_stopping():
    manifest = pd.DataFrame([(s, f"{s}{i}") for s in "ab" for i in range(10)], columns=["speaker", "source"])
    split = Split(("a", "b"), np.full(20, TRAIN, np.int8))
    for share, aside in ((0.01, 1), (0.2, 2), (0.7, 7), (1.0, 9)):
        role = splits.set_validation_aside(manifest, split, share, 0).role.reshape(2, 10)
        assert (role == VALIDATION).sum(1).tolist() == [aside] * 2 and (role == TRAIN).sum() == 20 - 2 * aside


def test_where_nobody_trains_on_two_recordings_validation_is_a_share_of_all_that_are_trained_on():
    split = Split(("a",), np.where(np.arange(32) % 4 == 0, TRAIN, HELD_OUT).astype(np.int8))
    for share, aside in ((0.01, 1), (0.25, 2), (0.5, 4)):
        role = splits.set_validation_aside(MANIFEST, split, share, 0).role
        assert (role == VALIDATION).sum() == aside and (split.role[role == VALIDATION] == TRAIN).all()


def test_a_speaker_with_one_recording_is_named():
    with pytest.raises(splits.MiaError, match="'b' has only one utterance"):
        splits.split_sources(
            pd.DataFrame({"speaker": list("aab"), "source": list("xyz")}), ["a", "b"], 0.5, np.random.default_rng(0)
        )


def test_speakers_are_divided_by_their_shares_down_to_eight_of_whom_two_are_strangers():
    for speakers, parts in ((8, (3, 2, 2, 1)), (12, (4, 2, 4, 2)), (24, (9, 3, 9, 3))):
        rows = [(f"s{s}", f"s{s}-{i}") for s in range(speakers) for i in range(4)]
        manifest = pd.DataFrame(rows, columns=["speaker", "source"])
        target, (shadow,) = splits.shadow_attack_splits(manifest, 1, 0.5, 0)
        strangers = [manifest["speaker"][split.role == UNSEEN].nunique() for split in (target, shadow)]
        assert (len(target.speakers), strangers[0], len(shadow.speakers), strangers[1]) == parts
    with pytest.raises(splits.MiaError, match="7 speakers are too few"):
        splits.shadow_attack_splits(MANIFEST.iloc[:28], 1, 0.5, 0)


def test_an_audit_at_seed_0_and_a_side_without_anybody():
    split = Split(("a",), np.repeat(np.array([TRAIN, UNSEEN], np.int8), (3, 7)))
    assert splits.membership(split, "paper", 0).tolist() == [1, 1, 1, -1, -1, 0, -1, 0, -1, 0]
    with pytest.raises(splits.MiaError, match="no non-members"):
        splits.membership(split, "utterance", 0)
    with pytest.raises(splits.MiaError, match="no members"):
        splits.membership(split, "speaker", 0)


def test_an_attacker_may_know_the_speakers_where_non_members_are_none_of_them_strangers():
    assert {*splits.PROTOCOLS, splits.CONSUMED} == set(splits.KNOWLEDGE)
    for knowledge in splits.KNOWLEDGE.values():
        assert knowledge.classes == (UNSEEN not in (knowledge.members, knowledge.non_members))


def test_labels_number_the_speakers_of_the_model_and_strangers_have_none():
    split = Split(("s2", "s5"), np.zeros(32, np.int8))
    labels = split.labels(MANIFEST)
    assert labels.dtype == np.int64 and labels.tolist() == [-1] * 8 + [0] * 4 + [-1] * 8 + [1] * 4 + [-1] * 8


def test_recordings_are_drawn_whole_until_there_are_enough_fragments():
    sources = np.array(["a", "a", "a", "b", "b", "", "", "c", "d", "d"])  # at seed 0 in the order a, b, d, c
    order = {
        0: [],
        1: [0, 1, 2],
        3: [0, 1, 2],
        4: [0, 1, 2, 3, 4],
        6: [0, 1, 2, 3, 4, 8, 9],
        8: [0, 1, 2, 3, 4, 7, 8, 9],
    }
    for count, rows in (order | {99: order[8]}).items():
        assert splits.whole_recordings(sources, count, 0).tolist() == rows, count


def test_examples_are_of_different_speakers_within_the_mask():
    mine = MANIFEST["speaker"].isin(["s1", "s2"]).to_numpy()
    assert splits.example_fragments(MANIFEST, mine, 3) == [8, 7]
    assert splits.example_fragments(MANIFEST, np.ones(32, bool), 3, seed=1) == [5, 15, 31]
