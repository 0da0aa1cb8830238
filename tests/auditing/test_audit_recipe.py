"""Reference models from somebody's training recipe: trained by coins, kept one by one, and good for LiRA and RMIA."""

import warnings

import numpy as np
import pytest
from faulty import MARKED
from recipes import DIES, LOG, fails_once, forest, forest_that_hangs, narrow
from voices import folder, voice, write

from mia_lib.auditing.recipe import evidence_of_recipe
from mia_lib.auditing.report import judge
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.executors import make_executor


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Recordings of four speakers, twelve each, whom nothing but their recordings tells apart."""
    return folder(tmp_path_factory.mktemp("data"), range(4), range(12), 0.6, apart=0)


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    return tmp_path / "log"


def trained(train, members, others=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evidence_of_recipe(
            train, members, others, **({"seconds": 0.5, "models": 4, "executor": "here", "copies": 0} | options)
        )


def test_references_are_trained_by_coins_of_their_own_and_so_is_the_target(tmp_path, data):
    evidence = trained(forest, data, outputs=tmp_path, models=8)
    assert evidence.kind == "posteriors" and evidence.coins and evidence.protocol == "utterance"
    assert evidence.answers.shape == (48, 4) and evidence.reference_answers.shape == (8, 48, 4)
    shares = evidence.reference_member.mean(1)
    assert ((shares > 0.2) & (shares < 0.8)).all() and 0.2 < evidence.member.mean() < 0.8
    coins = np.vstack([evidence.member, evidence.reference_member])
    assert len({tuple(row) for row in coins}) == 9 and np.abs(np.corrcoef(coins) - np.eye(9)).max() < 0.6
    truth = evidence.reference_answers[:, np.arange(48), evidence.label]
    for answers, inside in zip(truth, evidence.reference_member == 1, strict=True):
        assert answers[inside].min() == 1 and answers[~inside].mean() < 0.5


def test_a_forest_that_learns_by_heart_is_found_out_end_to_end(tmp_path, data):
    evidence = trained(forest, data, outputs=tmp_path, models=8)
    results = judge(evidence, draws=20).results
    auc = results[(results["metric"] == "auc") & (results["control"] == "")].set_index("attack")["value"]
    assert auc["lira_online"] > 0.9 and auc["rmia_offline"] > 0.9 and abs(auc["blind"] - 0.5) < 0.25


def test_all_models_are_asked_about_altered_versions_for_attacks_that_see_the_answered_speaker(tmp_path, data):
    evidence = trained(forest, data, outputs=tmp_path, models=4, copies=2)
    assert evidence.copies.shape == (2, 48, 4) and evidence.reference_copies.shape == (2, 4, 48, 4)
    plain = trained(forest, data, outputs=tmp_path, models=4)
    np.testing.assert_array_equal(evidence.reference_answers, plain.reference_answers)
    assert plain.copies is None and plain.reference_copies is None
    assert len(judge(evidence, draws=20, attacks=["label_only_calibrated"]).trials) == 1


def test_a_recording_on_which_models_hang_is_named_and_skipped(tmp_path):
    data, loud = folder(tmp_path / "data", range(4), range(6), 0.6), voice(1, 4, 0.6)
    loud[100] = MARKED
    write(data / "s1" / "4.wav", loud)
    evidence = trained(forest_that_hangs, data, outputs=tmp_path, models=2, seconds_per_call=0.3)
    assert len(evidence.answers) == 23 and evidence.reference_answers.shape == (2, 23, 4)
    [(path, reason)] = evidence.lost.itertuples(index=False)
    assert path.endswith("s1/4.wav") and reason == "no answer within 0.3 s"


def test_what_was_trained_is_not_trained_again(tmp_path, data, log):
    first = trained(forest, data, outputs=tmp_path)
    again = trained(forest, data, outputs=tmp_path)
    assert len(log.read_text().split()) == 5
    np.testing.assert_array_equal(first.reference_answers, again.reference_answers)
    more = trained(forest, data, outputs=tmp_path, models=5)
    assert len(log.read_text().split()) == 6 and len(more.reference_answers) == 5


def test_an_audit_that_failed_goes_on_after_its_last_model(tmp_path, data, log):
    with pytest.raises(
        MiaError, match=r"fails_once: training model 2 on \d+ recordings fails with RuntimeError: the power went"
    ):
        trained(fails_once, data, outputs=tmp_path)
    trained(fails_once, data, outputs=tmp_path)
    assert len(log.read_text().split()) == len(set(log.read_text().split())) == 5


def test_other_recordings_or_another_seed_meet_no_old_model(tmp_path, data, log):
    trained(forest, data, outputs=tmp_path, models=2)
    trained(forest, data, outputs=tmp_path, models=2, seed=1)
    trained(forest, folder(tmp_path / "other", range(4), range(3, 12), 0.6), outputs=tmp_path, models=2)
    assert len(log.read_text().split()) == 9


def test_processes_side_by_side_train_the_same_models(tmp_path, data):
    one, two = (
        trained("recipes:forest", data, outputs=tmp_path / w, executor=w, models=2) for w in ("here", "workers:2")
    )
    np.testing.assert_array_equal(one.reference_answers, two.reference_answers)
    np.testing.assert_array_equal(one.answers, two.answers)


@pytest.mark.filterwarnings("ignore:a worker process ended")
def test_a_model_whose_process_is_killed_is_trained_again(tmp_path, data, monkeypatch):
    monkeypatch.setenv(DIES, str(tmp_path / "died"))
    make_executor.cache_clear()  # workers find the variables with which they were started
    options = dict(models=2, executor="workers:2")
    again = trained("recipes:forest_that_dies_once", data, outputs=tmp_path / "a", **options)
    usual = trained("recipes:forest", data, outputs=tmp_path / "b", **options)
    assert (tmp_path / "died").exists()
    np.testing.assert_array_equal(again.reference_answers, usual.reference_answers)


def test_a_model_of_ones_own_is_judged_beside_the_references(tmp_path, data):
    others = folder(tmp_path / "out", range(4), range(20, 24), 0.6)
    model = forest(Classed(), np.zeros(1, int), 0)
    evidence = trained(forest, data, others, model=model, outputs=tmp_path)
    assert (evidence.member[:48] == 1).all() and (evidence.member[48:] == 0).all() and not evidence.coins
    assert evidence.reference_answers.shape == (4, 64, 4) and (evidence.answers[:, 0] == 1).all()


class Classed(list):
    """One recording of one of four classes."""

    classes = "abcd"

    def __init__(self):
        super().__init__([np.ones(8000, np.float32)])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"train": narrow}, "narrow, model 0 gives 3 numbers for a recording, and the recordings names 4 classes"),
        ({"train": "recipes:nothing"}, "'recipes' holds no 'nothing'"),
        ({"train": "recipes:LOG"}, "recipes:LOG is no function of recordings, labels and a seed"),
        ({"models": 1}, "--models must be at least 2"),
        ({"classes": ["s0", "s1", "s2", "x"]}, "names no class for 's3', of whom there are recordings to train on"),
        ({"others": "out"}, "leave --non-members out, or say --model"),
        ({"gives": "scores"}, "--gives"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_one_sentence(tmp_path, data, options, says):
    with pytest.raises((MiaError, UsageError), match=says):
        trained(**({"train": forest, "members": data, "outputs": tmp_path} | options))
