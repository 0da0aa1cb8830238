"""Who attacks whom among reference models: a target is never among those that an attack on it learns from."""

import numpy as np
import pytest

from mia_lib.attacks.threshold import best_threshold
from mia_lib.fragments.splits import REFERENCE
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import PRETENDERS, ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.studies.study import Question

SETTINGS = dict(epochs=6, n_references=5, repeats=2, bootstrap=20, max_speakers=0, max_utterances=0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    return ReferenceStudy(ShadowStudy(Dataset("demo:12x8", "smoke", 0, "cpu", outputs, settings=SETTINGS)))


def used(signals):
    """Which models a fit reads: those with an audit set."""
    return np.flatnonzero((signals.member >= 0).any(1)).tolist()


@pytest.fixture
def fits(study, monkeypatch):
    """Which models each fit learnt from, and its target, in order."""
    seen, fit = [], ReferenceStudy.fit
    study._fits.clear()

    def watched(self, question, target, known):
        seen.append((target, used(known)))
        return fit(self, question, target, known)

    monkeypatch.setattr(ReferenceStudy, "fit", watched)
    return seen


def test_no_target_is_among_its_own_reference_models(study, fits):
    study.audits("lira_online")
    for target, models in fits:
        assert target not in models
    assert [models for _, models in fits[:1]] == [[1, 2, 3, 4, 5]]


def test_a_threshold_is_learnt_where_pretenders_are_attacked_through_the_rest(study, fits, monkeypatch):
    played = []
    pick = type(study.signals).pick
    monkeypatch.setattr(type(study.signals), "pick", lambda self, models: played.append(models) or pick(self, models))
    study.audits("lira_online")
    of_target = [(target, models) for target, models in fits if target == 0]
    assert [models for _, models in of_target] == [[1, 2, 3, 4, 5], [2, 3, 4, 5], [1, 3, 4, 5]]
    assert len(of_target) == 1 + PRETENDERS and [1] in played and [2] in played


def test_the_threshold_is_that_of_the_pretenders_scores_alone(study):
    study._fits.clear()
    question, models = Question("lira_online"), (1, 2, 3, 4, 5)
    attack, threshold = study.fitted(question, 0, models)
    scores, member = study.rehearsed(question, 0, models, attack)
    assert threshold == best_threshold(scores, member)
    changed = study.signals.member.copy()
    audit = study.audits("lira_online")[0]
    study.signals.member[0] = np.where(changed[0] >= 0, 1 - changed[0], -1)  # the target's own membership turned round
    try:
        study._fits.clear()
        assert study.fitted(question, 0, models)[1] == threshold == audit.threshold
    finally:
        study.signals.member[:] = changed


def test_fewer_references_are_the_first_and_leave_nothing_out(study, fits):
    few, all_of_them = study.audits("lira_online", count=4)[0], study.audits("lira_online")[0]
    assert fits[0] == (0, [1, 2, 3, 4])
    np.testing.assert_array_equal(few.rows, all_of_them.rows)
    assert np.isfinite(few.scores).all()


def test_masks_alone_tell_nothing_and_are_on_record(study):
    result = study.mask_only()
    assert result.metric == "auc_control_mask_only" and result.value.low < 0.5 < result.value.high
    assert {"auc_control_mask_only"} <= set(study.records()["metric"])


def test_what_is_reserved_for_the_defender_is_the_same_for_all_models_and_never_audited(study):
    reserved = ReferenceStudy(study, 3, reserved=0.25)
    aside = [split.role == REFERENCE for split in reserved.splits]
    assert aside[0].any() and all((own == aside[0]).all() for own in aside)
    assert not any(aside[0][audit.rows].any() for audit in reserved.audits("loss"))


def test_the_controls_model_has_trained_on_nothing_that_is_audited(study):
    exposed, control = study.audits("loss")[0], study.audits("loss", control=True)[0]
    np.testing.assert_array_equal(exposed.rows, control.rows)
    np.testing.assert_array_equal(exposed.member, control.member)
    own = study.splits[study.count].train()
    assert not set(study.manifest["source"].iloc[own].astype(str)) & set(control.clusters)
    assert (exposed.scores != control.scores).any()
