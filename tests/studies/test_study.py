"""What all studies share: no attack sees whom it is asked about, and a bad attack is named."""

import numpy as np
import pytest

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.metrics import MetricAttack
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import MiaError

SETTINGS = dict(epochs=1, shadow_epochs=1, n_references=4, repeats=1, bootstrap=5, max_speakers=0, max_utterances=0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return ShadowStudy(Dataset("demo:10x6", "smoke", 0, "cpu", tmp_path_factory.mktemp("outputs"), settings=SETTINGS))


@pytest.fixture
def register(monkeypatch):
    ATTACKS.names()
    return lambda name, kind: monkeypatch.setitem(ATTACKS._entries, name, kind)


def test_no_attack_can_read_whom_it_is_asked_about(study, register):
    asked = []

    class Peeking(MetricAttack):
        def score(self, target):
            asked.append(set(np.unique(target.member)))
            return target.member.astype(float)

    register("peeking", Peeking)
    for audits in (study.audits("peeking", "utterance"), ReferenceStudy(study).audits("peeking")):
        assert set(np.concatenate([audit.scores for audit in audits])) == {-1.0}
    assert asked and all(seen == {-1} for seen in asked)


@pytest.mark.parametrize("fault", ["nan", "crash", "shape"])
def test_a_bad_attack_among_many_is_named(study, register, fault):
    class Bad(MetricAttack):
        def score(self, target):
            if fault == "crash":
                raise IndexError("no such column")
            scores = np.zeros(target.labels.shape) if fault == "nan" else np.zeros(3)
            return scores * np.nan

    register("bad_one", Bad)
    with pytest.raises(MiaError, match="attack 'bad_one'"):
        study.audits("bad_one", "utterance")
