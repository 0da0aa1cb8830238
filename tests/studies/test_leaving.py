"""Who leaves which model: groups that differ in nothing but the person, requests, and what is kept of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mia_lib.evaluation.intervals import spread_of_weights
from mia_lib.fragments.splits import HELD_OUT, TRAIN, UNSEEN
from mia_lib.signals.query import query_each
from mia_lib.studies import leaving as module
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.forgetting import ForgettingStudy
from mia_lib.studies.leaving import Leaving
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import MiaError

SETTINGS = dict(epochs=1, n_references=4, bootstrap=20, max_speakers=0, max_utterances=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("leaving")


@pytest.fixture(scope="module")
def dataset(folder):
    return Dataset("demo:10x6", "smoke", 0, "cpu", folder, settings=SETTINGS)


@pytest.fixture(scope="module")
def leaving(dataset):
    return Leaving(dataset)


def test_each_persons_models_fall_into_three_groups_of_one_more_than_the_references(leaving):
    assert leaving.models == 15 and leaving.groups.shape == (7, 3, 5)
    assert all(sorted(own.ravel()) == list(range(15)) for own in leaving.groups)
    assert [*leaving.audited] == [0, 1, 2, 3, 4] and [*leaving.chosen_on] == [5, 6] and len(leaving.stayers) == 3
    assert not {*leaving.leavers} & {*leaving.stayers}


def test_only_models_of_the_first_group_know_the_person_and_all_give_them_a_class(leaving):
    for p in range(7):
        given, other = leaving.rows(p, True), leaving.rows(p, False)
        assert len(given) and len(other)
        for group, roles in ((0, (TRAIN, HELD_OUT)), (1, (UNSEEN, UNSEEN)), (2, (UNSEEN, UNSEEN))):
            for model in leaving.groups[p, group]:
                split = leaving.splits[model]
                assert (split.role[given] == roles[0]).all() and (split.role[other] == roles[1]).all()
                assert leaving.leavers[p] in split.speakers


def test_those_who_stay_are_in_every_model_by_coins_for_their_recordings(leaving):
    speaker = leaving.dataset.manifest["speaker"].astype(str).to_numpy()
    roles = np.stack([split.role for split in leaving.splits])[:, np.isin(speaker, leaving.stayers)]
    assert {*np.unique(roles)} == {TRAIN, HELD_OUT} and (roles != roles[0]).any()


def test_a_request_takes_the_person_out_of_the_training_set_and_begins_from_the_model(leaving):
    model = int(leaving.groups[2, 0, 1])
    job = leaving.request([(model, 2)])
    whole = leaving.pool.job().train[model]
    assert sorted([*job.train[0], *job.leaving[0]]) == sorted(whole)
    assert job.leaving[0].tolist() == leaving.rows(2, True).tolist()
    weights = leaving.pool.models.weights(model)
    assert all(torch.equal(job.start[0][name], tensor) for name, tensor in weights.items())
    stranger = leaving.request([(int(leaving.groups[2, 2, 0]), 2)])
    assert stranger.leaving[0].tolist() == leaving.rows(2, True).tolist()


def test_requests_are_served_once_and_answers_are_those_of_the_changed_models(leaving, monkeypatch):
    pairs = [(int(m), 0) for m in leaving.groups[0, 0]]
    shown = [True, False, False, False, True]
    own, open_, seconds = leaving.served("fine_tune:1", pairs, shown)
    assert own.shape[0] == 5 and open_.shape[:2] == (2, len(leaving.known)) and seconds > 0
    columns = np.searchsorted(leaving.known, leaving.rows(0))
    np.testing.assert_allclose(own[4, : len(columns)], open_[1, columns], atol=1e-4)
    whole = np.tile(np.arange(20), (leaving.models, 1))
    asked = query_each(leaving.pool.models.network, leaving.dataset.resident, whole)
    np.testing.assert_allclose(asked, leaving.before[:, :20], atol=1e-4)
    before = leaving.before[pairs[4][0]][leaving.rows(0)]
    assert np.abs(own[4, : len(columns)] - before).max() > 1e-3

    def refuse(*_):
        raise MiaError("trained again")

    monkeypatch.setattr(module, "train_in_parts", refuse)
    again, _, _ = leaving.served("fine_tune:1", pairs, shown)
    np.testing.assert_array_equal(again, own)
    with pytest.raises(MiaError, match="trained again"):
        leaving.served("fine_tune:3", pairs, shown)


def test_shards_without_recordings_are_no_candidates(leaving):
    assert leaving.candidates("retrain") == ["retrain"] and leaving.candidates("scrub") == ["scrub:1", "scrub:2"]
    assert len(leaving.candidates("sisa")) < 2


def test_a_method_is_measured_in_four_views_with_its_controls_and_beside_what_was_before(dataset):
    study = ForgettingStudy(ShadowStudy(dataset))
    records = study.records("fine_tune:1")
    found = records[(records["attack"] == "u_lira") & (records["measure"] == "auc")]
    assert len(found) == 12 and set(found["control"]) == {"", "shuffled", "unexposed"}
    assert found["value"].between(0, 1).all() and (found["low"] <= found["value"]).all()
    recordings = sum(len(study.leaving.rows(p, True)) for p in study.leaving.audited)
    asked = found[found["control"] == ""].set_index(["protocol", "condition"])["n"]
    assert (asked["paper"] == 2 * 5 * recordings).all() and (asked["speaker"] == 2 * 5 * 5).all()
    population = records[(records["attack"] == "population") & (records["measure"] == "auc")]
    assert population["control"].tolist() == ["", "shuffled"]
    assert {"test_accuracy_change", "train_seconds_ratio", "auc_change"} <= set(records["measure"])
    assert (records["adaptive"]).all() and (records["defense"] == "fine_tune:1").all()
    retrained = study.records("retrain")
    assert "unexposed" not in set(retrained["control"])
    change = retrained[retrained["measure"] == "test_accuracy_change"].iloc[0]
    assert change["value"] == 0  # whoever is trained again is as good as before, apart from who is there


def test_whoever_forgets_nothing_is_found_and_retraining_has_nothing_to_find(dataset):
    study = ForgettingStudy(ShadowStudy(dataset))
    people = study.leaving.audited
    rng = np.random.default_rng(0)
    stand = study.stand("retrain", people)
    shape, places = (
        stand.inside.shape,
        [study.leaving.splits[0].speakers.index(study.leaving.leavers[p]) for p in people],
    )
    inside, outside = rng.standard_normal((2, *shape)).astype(np.float32)
    inside[np.arange(len(people)), ..., places] += 4
    made_up = replace(stand, inside=inside, outside=outside)
    told, removed = (study.attacked(made_up, people, True, without) for without in (False, True))
    aucs = [np.mean([roc_auc_score(audit.member, audit.scores) for audit in audits]) for audits in (told, removed)]
    assert aucs[0] > 0.95 and abs(aucs[1] - 0.5) < 0.15
    recordings = sum(len(study.leaving.rows(p, True)) for p in people)
    (all_pairs,) = told
    assert len(all_pairs.member) == 2 * study.leaving.group * recordings and all_pairs.smaller_side() == len(people)
    assert all_pairs.spread == spread_of_weights(
        len(people), 1.0
    )  # what is learnt of one pair is the luck of the others


def test_the_control_swaps_whole_persons_within_a_pair_of_models(dataset):
    study = ForgettingStudy(ShadowStudy(dataset))
    (audit,) = study.attacked(study.stand("retrain", study.leaving.audited), study.leaving.audited, True)
    swapped = study.swapped(audit)
    changed = (swapped.member != audit.member).reshape(study.leaving.group, 2, -1)
    assert (changed[:, 0] == changed[:, 1]).all() and 0.2 < changed.mean() < 0.8
    each = pd.Series(changed[:, 0].ravel()).groupby(
        [np.repeat(np.arange(len(changed)), changed.shape[2]), audit.clusters.reshape(changed.shape)[:, 0].ravel()]
    )
    assert each.nunique().eq(1).all() and not np.array_equal(changed[0, 0], changed[1, 0])
