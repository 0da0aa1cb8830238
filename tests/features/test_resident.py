"""Features that do not fit on the device are computed from waveforms, and nothing else changes."""

import numpy as np
import pytest
import torch

from mia_lib.features import FEATURES, resident
from mia_lib.features.resident import Waveforms
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import MiaError


@pytest.fixture
def experiment(tmp_path):
    def made(folder="a", **settings):
        settings = dict(epochs=2, shadow_epochs=2) | settings
        return ShadowStudy(Dataset("demo:10x8", "smoke", 0, "cpu", tmp_path / folder, settings=settings))

    return made


@pytest.mark.parametrize("feature", FEATURES.names())
def test_rows_are_what_is_stored_however_they_are_asked_for(experiment, feature):
    e = experiment(feature=feature)
    waveforms = Waveforms(feature, e.fragments, e.settings.hop, e.device)
    assert waveforms.shape == e.features.shape and len(waveforms) == len(e.features)
    for rows in (slice(10, 70), np.array([3, 1, 3]), torch.tensor([[5, 2], [0, 44]])):
        values = waveforms[rows]
        assert values.dtype == e.features.dtype
        torch.testing.assert_close(values, e.features[rows], rtol=1e-3, atol=1e-3)


def test_features_that_do_not_fit_are_computed_from_waveforms_and_models_answer_the_same(experiment, monkeypatch):
    stored = experiment("stored")
    size = stored.features.numel() * stored.features.element_size()
    monkeypatch.setattr(resident, "free_memory", lambda device: 2 * size)
    assert isinstance(stored.dataset.resident, torch.Tensor)
    expected = np.array(stored.logits)
    monkeypatch.setattr(resident, "free_memory", lambda device: 2 * size - 2)
    streamed = experiment("streamed")
    assert isinstance(streamed.dataset.resident, Waveforms)
    assert streamed.pool.job().label == "features on the fly, train"
    np.testing.assert_allclose(streamed.logits, expected, atol=0.05)


def test_a_defense_that_asks_for_rows_of_its_own_trains_on_waveforms(experiment, monkeypatch):
    monkeypatch.setattr(resident, "free_memory", lambda device: 0)
    for defense in ("adversarial_regularisation:1", "dmp:2", "dp_sgd:8"):
        assert np.isfinite(experiment().defended(defense).logits.max(-1)).all()


def test_waveforms_do_not_move_to_another_device(experiment):
    e = experiment()
    with pytest.raises(MiaError, match="the waveforms are on cpu, so models cannot be trained on cuda"):
        Waveforms("mfcc", e.fragments, e.settings.hop, e.device).to("cuda")
