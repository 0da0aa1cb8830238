"""What is judged: random answers come out at chance, persons once each, coins prove epsilons, and each control is there."""

import numpy as np
import pytest
from made_up import signals

from mia_lib.auditing.coins import drawn_by_coins
from mia_lib.auditing.columns import evidence_of
from mia_lib.auditing.folds import deal, learnt_share, ranks_within
from mia_lib.auditing.gate import condition
from mia_lib.auditing.report import judge
from mia_lib.evaluation.intervals import spread_of_weights
from mia_lib.support.errors import MiaError


def judged(arrays, **options):
    return judge(evidence_of(arrays, "made up"), **{"draws": 100} | options)


def aucs(report, control=""):
    rows = report.results[(report.results["measure"] == "auc") & (report.results["control"] == control)]
    return rows.set_index("attack")


def test_answers_that_depend_on_voices_alone_are_rarely_told_from_chance():
    attacks, held, above, values = ["loss", "shokri"], 0, 0, []
    for seed in range(15):
        found = aucs(judged(signals(seed), seed=seed, attacks=attacks)).loc[attacks]
        held += ((found["low"] <= 0.5) & (found["high"] >= 0.5)).sum()
        above += (found["low"] > 0.5).sum()
        values += [found["value"].to_numpy()]
    assert held >= 24 and above <= 4  # of 30: 28.5 are 95 %
    error = np.std(values, axis=0) / np.sqrt(15)
    assert (np.abs(np.mean(values, axis=0) - 0.5) < 3 * error).all()


def test_what_learns_nothing_from_who_is_a_member_has_no_wider_intervals_than_clusters_ask_for():
    """Modified entropy learns a threshold for each class, and is judged on classes of which it saw none."""
    found = {one.attack: one for one in judged(signals(), attacks=["loss", "modified_entropy", "shokri"]).trials}
    audit = {name: one.found.audit for name, one in found.items()}
    assert audit["modified_entropy"].spread == pytest.approx(audit["loss"].spread, rel=0.01)
    assert audit["shokri"].spread > 1.5 * audit["loss"].spread > 1.5
    assert found["shokri"].controls["shuffled"].audit.spread == audit["shokri"].spread


def test_intervals_beside_reference_models_know_that_there_is_one_model_and_how_many_speakers():
    """Without it they held one half in 87 to 96 % of 200 audits of random answers."""
    (one,) = judged(signals(references=4), attacks=["loss"]).trials
    audits = [one.found.audit, *(control.audit for control in one.controls.values())]
    assert len(audits) == 3 and {audit.spread for audit in audits} == {spread_of_weights(12)}


def test_the_shuffled_control_deals_recordings_and_not_whole_speakers():
    (one,) = judged(signals(references=4), attacks=["loss"]).trials
    found, mixed = one.found.audit, one.controls["shuffled"].audit
    of_speaker = [mixed.member[(found.clusters == name) & found.member].mean() for name in set(found.clusters)]
    assert (mixed.clusters == found.clusters).all() and np.mean(np.isin(of_speaker, (0, 1), invert=True)) > 0.1
    assert np.std(of_speaker) < 0.3  # whole speakers: one half


def test_scores_that_share_their_order_with_those_of_shuffled_membership_are_not_learnt():
    scores = np.arange(20.0)
    assert learnt_share(scores, scores**3) == pytest.approx(0, abs=1e-9)
    assert learnt_share(scores, -scores) == 1 == learnt_share(scores, 0 * scores)
    assert 0.1 < learnt_share(scores, np.roll(scores, 1)) < 0.5


def test_what_is_remembered_is_found_and_shuffled_membership_is_not():
    report = judged(signals(leak=3.0))
    assert aucs(report).loc[["loss", "shokri", "strongest"], "low"].min() > 0.5
    shuffled = aucs(report, "shuffled")
    assert set(shuffled.index) == set(aucs(report).index) - {"strongest"} and (shuffled["low"] < 0.5).all()


def test_reference_models_allow_the_calibrated_attacks_and_an_unexposed_model_is_not_found_to_remember():
    report = judged(signals(leak=2.0, references=6), attacks=["lira_online", "rmia_online", "loss"])
    found, unexposed = aucs(report), aucs(report, "unexposed")
    assert set(found.index) == {"lira_online", "rmia_online", "loss_references", "strongest"}
    assert found.loc["lira_online", "low"] > 0.55 and (unexposed["low"] < 0.55).all()
    assert report.recordings["stability"].between(0, 1).all()


@pytest.mark.parametrize("turned", [False, True])
def test_references_that_all_trained_on_the_same_recordings_are_refused(turned):
    arrays = signals(references=4)
    arrays["reference_member"] = np.tile(arrays["member"] ^ turned, (4, 1))
    with pytest.raises(MiaError, match="every recording is in all reference models or in none"):
        judged(arrays)


def test_a_gate_on_a_baseline_that_there_is_not_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr("mia_lib.auditing.report.trials", None)
    with pytest.raises(MiaError, match=r"--fail-if 'blind.auc > 0.6': made up lacks a description of each row"):
        judged(signals(), fail_if=[condition("blind.auc > 0.6")])


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_answers_kept_in_half_precision_are_judged_without_a_warning():
    arrays = signals()
    arrays["logits"] = arrays["logits"].astype(np.float16)
    assert 0 < aucs(judged(arrays, attacks=["loss"])).loc["loss", "value"] < 1


def test_too_few_reference_models_are_refused():
    with pytest.raises(MiaError, match="2 reference models are too few: give at least 3"):
        judged(signals(references=2))


def test_persons_are_judged_once_each_where_no_speaker_is_on_both_sides():
    arrays = signals(speakers=24)
    arrays["member"] = arrays["label"] % 2
    arrays["logits"][arrays["member"] == 1] *= 1.5
    report = judged(arrays)
    assert report.evidence.protocol == "speaker"
    sizes = report.about["sizes"]
    assert sizes["mean_posterior"]["rows"] == sizes["speaker_level"]["rows"] == 24 and sizes["entropy"]["rows"] == 240
    assert aucs(report).loc["mean_posterior", "value"] > 0.7 and len(report.people) == 24
    assert report.people["member"].iloc[:6].mean() > 0.5


def test_persons_that_were_drawn_are_no_coins_of_recordings():
    arrays = signals(speakers=24)
    drawn_by_coins(evidence_of(arrays, "made up"))
    arrays["member"] = arrays["label"] % 2
    with pytest.raises(MiaError, match="each of 24 speakers has all of their 240 recordings on one side"):
        drawn_by_coins(evidence_of(arrays, "made up"))


def test_labels_that_only_members_have_are_not_seen():
    arrays = signals(speakers=20)
    arrays["member"] = (arrays["label"] < 10).astype(int)
    arrays["label"] = np.where(arrays["label"] < 10, arrays["label"], -1)
    random = np.random.default_rng(0)
    arrays["logits"] = random.standard_normal((200, 20))
    found = aucs(judged(arrays, attacks=["loss", "shokri", "gap"]))
    assert (found["low"].drop("strongest") < 0.5).all() and found.loc["gap", "value"] == 0.5
    assert found.loc["strongest", "low"] <= 0.5  # the largest of the lower ends, of which that of `gap` is one half


def test_embeddings_are_judged_by_the_attacks_on_encoders_alone():
    random = np.random.default_rng(0)
    speaker = np.repeat([f"s{i:02}" for i in range(30)], 6)
    member = np.repeat(np.arange(30) % 2, 6)
    spread = np.where(member, 0.3, 1.5)[:, None]
    voices = random.standard_normal((30, 16)).repeat(6, axis=0)
    arrays = dict(embeddings=voices + spread * random.standard_normal((180, 16)), member=member, speaker=speaker)
    found = aucs(judged(arrays))
    assert {"mean_cosine", "speaker_similarity"} <= set(found.index) and found.loc["mean_cosine", "low"] > 0.6
    assert not {"loss", "gap"} & set(found.index)


def test_coins_prove_an_epsilon_by_attacks_that_learn_nothing_and_shuffled_ones_none():
    report = judged(signals(leak=8.0, speakers=30) | dict(coins=True), attacks=["loss", "shokri"])
    rows = report.results[report.results["measure"].isin(["epsilon_steinke", "epsilon_tight"])]
    assert set(rows["attack"]) == {"loss"}
    proven = rows[rows["control"] == ""]["value"]
    assert proven.min() > 0.5 and rows[rows["control"] == "shuffled"]["value"].max() < 0.5 * proven.min()
    assert any("epsilon" in said for said in report.about["findings"])


def test_sides_that_sound_different_are_said_first():
    arrays = signals(leak=3.0)
    arrays["blind"] = np.random.default_rng(0).standard_normal((120, 4)) + 3 * arrays["member"][:, None]
    report = judged(arrays)
    assert report.about["findings"][0].startswith("Members and non-members can be told apart without asking the model")
    assert aucs(report).loc["blind", "low"] > 0.8 and report.about["blind"]["auc"]["low"] > 0.8


def said_of(report, *words):
    return [said for said in report.about["findings"] if all(word in said for word in words)]


def test_a_score_that_is_no_better_than_a_guess_is_not_called_strong_for_lying_below():
    report = judged(signals(1), attacks=["loss"])
    own = report.about["attacks"]["loss"]["auc"]
    below = own["value"] < 0.5
    assert bool(said_of(report, "worse than a guess")) == below and bool(said_of(report, "The strongest")) != below


@pytest.mark.parametrize(
    ("control", "says"),
    [
        ("unexposed", "it is not told from chance, as it should be"),
        ("the same", "It finds as much"),
        ("few", "too uncertain to be a"),
    ],
)
def test_what_a_control_shows_is_said_with_what_it_leaves_open(control, says):
    arrays = signals(leak=1.2, speakers=4, each=6) if control == "few" else signals(leak=3.0)
    random = np.random.default_rng(1)
    arrays["control"] = arrays["logits"] if control == "the same" else random.standard_normal(arrays["logits"].shape)
    report = judged(arrays, attacks=["loss"])
    assert said_of(report, says), report.about["findings"]


def persons(of_members, of_others, speakers=24):
    """Noise of persons, of whom members have other numbers of recordings than others."""
    random = np.random.default_rng(0)
    member = np.arange(speakers) % 2
    each = np.where(member, of_members, of_others)
    label = np.repeat(np.arange(speakers), each)
    return dict(
        logits=random.standard_normal((len(label), speakers)), label=label, member=np.repeat(member, each),
        speaker=np.array([f"s{i:02}" for i in label]),
    )  # fmt: skip


def test_persons_of_whom_one_side_has_more_are_said_and_equal_ones_are_not():
    (said,) = said_of(judged(persons(9, 4), attacks=["loss"]), "more answers a person")
    assert (
        said.startswith("Members have more answers a person than non-members (medians 9 and 4)") and "AUC 1.000" in said
    )
    (turned,) = said_of(judged(persons(4, 9), attacks=["loss"]), "more answers a person")
    assert turned.startswith("Non-members have more answers a person than members (medians 9 and 4)")
    assert not said_of(judged(persons(6, 6), attacks=["loss"]), "more answers a person")
    assert not said_of(
        judged(signals(leak=3.0), attacks=["loss"]), "more answers a person"
    )  # recordings are asked about


def test_one_speaker_alone_is_judged_by_recordings():
    arrays = signals(leak=4.0, each=40)
    one = arrays["label"] == 0
    arrays = {name: part[one] for name, part in arrays.items()}
    assert {"loss", "shokri"} <= set(aucs(judged(arrays)).index)


def test_folds_hold_whole_speakers_and_leave_both_sides_to_learn_from():
    member = np.repeat([True, False, True, False], [30, 30, 20, 20])
    unit = np.array([*np.repeat([f"a{i}" for i in range(6)], 10), *np.tile([f"b{i}" for i in range(4)], 10)])
    fold = deal(member, unit, seed=1)
    assert all(len(set(fold[unit == name])) == 1 for name in set(unit)) and len(set(fold)) == 5
    assert all(member[fold != k].any() and not member[fold != k].all() for k in set(fold))
    assert (deal(member, unit, 1, again=1) != fold).any()
    with pytest.raises(MiaError, match="at least two speakers"):
        deal(np.array([True, False]), np.array(["a", "a"]), 0)


def test_ranks_say_nothing_of_how_high_another_folds_scores_are():
    scores, fold = np.array([1.0, 2.0, 3.0, 100.0, 200.0, 200.0]), np.array([0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(ranks_within(scores, fold), np.array([0.5, 1.5, 2.5, 0.5, 2, 2]) / 3)
