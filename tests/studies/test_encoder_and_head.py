"""An encoder and a head on its embeddings: the whole series, with all attacks and defenses, runs on that pipeline."""

import numpy as np
import pytest
import torch

from mia_lib.attacks.base import fragment_attacks
from mia_lib.defenses import DEFENSES
from mia_lib.features.encoders import ENCODERS
from mia_lib.features.named import feature_params, make_feature
from mia_lib.features.resident import Waveforms
from mia_lib.fragments.splits import PROTOCOLS
from mia_lib.series.listing import sections
from mia_lib.series.request import Request, check
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.studies.speaker import SpeakerStudy
from mia_lib.studies.study import Question
from mia_lib.support.errors import UsageError

SIZE = 24
STRENGTHS = {"selena": "selena:2"}


class Pitches(torch.nn.Module):
    """The logarithm of a voice's mean spectrum in a few bands."""

    fingerprint = "first"

    def forward(self, waves):
        spectrum = torch.stft(waves, 512, window=torch.hann_window(512), return_complex=True).abs().mean(-1)
        return torch.nn.functional.adaptive_avg_pool1d(spectrum[:, None, :240], SIZE)[:, 0].add(1e-4).log()


@pytest.fixture(autouse=True)
def encoder(monkeypatch):
    ENCODERS.names()  # all others are there before this one
    monkeypatch.setitem(ENCODERS._entries, "pitches", Pitches)
    return Pitches


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


def on_embeddings(cache, model, epochs):
    settings = dict(
        feature="encoder:pitches", model=model, epochs=epochs, shadow_epochs=epochs, n_references=4, repeats=1
    )
    settings |= dict(bootstrap=10, defense_references=3, max_speakers=0, max_utterances=0, defense_speakers=8)
    settings |= dict(query_fragments=100, n_shadows=2, learning_rate=0.1)
    return ShadowStudy(Dataset("demo:12x6", "smoke", 0, "cpu", cache, settings=settings))


@pytest.fixture(params=["head", "head_mlp"])
def study(request, cache):
    return on_embeddings(cache, request.param, epochs=60)


@pytest.fixture(params=["head", "head_mlp"])
def brief(request, cache):
    """One whose models need not be good."""
    return on_embeddings(cache, request.param, epochs=2)


def test_a_head_knows_the_speakers_by_their_embeddings(study):
    assert study.features.shape == (len(study.manifest), 1, SIZE)
    np.testing.assert_allclose(
        study.features[3, 0], Pitches()(torch.from_numpy(study.fragments.audio[3:4] / 32768).float())[0], rtol=1e-4
    )
    assert study.accuracy("train").value > 0.7  # of 4 speakers


def test_embeddings_are_the_same_where_they_are_computed_on_the_fly(study):
    waveforms = Waveforms("encoder:pitches", study.fragments, study.settings.hop, study.device)
    rows = np.array([5, 0, 5])
    torch.testing.assert_close(waveforms[rows], study.features[rows], rtol=1e-4, atol=1e-4)


def test_all_attacks_run_on_heads(brief):
    references = ReferenceStudy(brief)
    for name in fragment_attacks():
        assert np.isfinite(references.ask(Question(name))[0].scores).all(), name
    for protocol in PROTOCOLS:
        assert np.isfinite(brief.audits("top3_network", protocol)[0].scores).all()
    assert np.isfinite(SpeakerStudy(brief).audits("speaker_level", 1)[0].scores).all()


def test_all_defenses_run_on_heads_also_those_that_alter_audio(brief):
    for name in DEFENSES.names():
        answers = brief.defended(STRENGTHS.get(name, name)).logits
        assert answers.shape[1] == len(brief.manifest) and not np.isnan(answers).any(), name


def test_other_weights_or_another_encoder_make_other_stages(encoder, monkeypatch):
    first = feature_params("encoder:pitches", 512)
    assert first == feature_params("encoder:pitches", 256) == {"encoder": "Pitches", "weights": "first"}
    monkeypatch.setattr(encoder, "fingerprint", "second")
    assert feature_params("encoder:pitches", 512) != first
    assert feature_params("mfcc", 512) == {"feature": "mfcc", "hop": 512}


def test_an_encoder_is_listed_and_asked_for_by_name(tmp_path):
    assert sections()["features"]["encoder:pitches"] == "The logarithm of a voice's mean spectrum in a few bands."
    asked = Request(corpus="demo", settings={"feature": "encoder:pitches", "model": "head"}, outputs=str(tmp_path))
    assert check(asked)[1].feature == "encoder:pitches"
    assert isinstance(make_feature("encoder:pitches", 512).encoder, Pitches)


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"feature": "encoder:pitch"}, "unknown encoder 'pitch': choose one of .*pitches"),
        ({"feature": "encoder:"}, "unknown encoder '': choose one of"),
        ({"feature": "encoder:pitches"}, "'paper_mfcc' cannot read the feature 'encoder:pitches'"),
    ],
)
def test_what_cannot_be_an_encoder_and_a_head_is_refused_before_anything_is_computed(settings, sentence, tmp_path):
    with pytest.raises(UsageError, match=sentence):
        check(Request(corpus="demo", settings=settings, outputs=str(tmp_path)))
