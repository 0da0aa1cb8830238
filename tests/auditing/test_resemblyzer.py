"""Resemblyzer audited with people on both sides whom it was not trained on: nobody may be found."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.features.compute import extract
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import UsageError

PEOPLE, RECORDINGS, SAMPLES = 50, 4, 25_600
ROOT = Path(os.environ.get("MIA_DATA_ROOT") or Path(__file__).parents[3] / "shared" / "data") / "speechocean762"


@pytest.fixture(scope="module")
def embeddings():
    """Of 1.6 s of four recordings of each of 50 people, [50, 4, 256]."""
    if not ROOT.is_dir():
        pytest.skip("real speech is not at ../shared/data: set MIA_DATA_ROOT to the folder that holds speechocean762")
    folders = sorted(folder for folder in ROOT.iterdir() if folder.is_dir())[:PEOPLE]
    paths = [path for folder in folders for path in sorted(folder.iterdir())[:RECORDINGS]]
    waves = torch.from_numpy(np.stack([middle(soundfile.read(path, dtype="float32")[0]) for path in paths]))
    try:
        found = extract("encoder:resemblyzer", [waves], hop=512)
    except UsageError as error:
        pytest.skip(str(error))
    return found.view(PEOPLE, RECORDINGS, -1).numpy()


def middle(wave):
    """SAMPLES of a recording around its middle."""
    start = max(0, len(wave) - SAMPLES) // 2
    return np.resize(wave[start : start + SAMPLES], SAMPLES)


def judged(name, embeddings, member, seed):
    """Scores of all people [P], fitted on the other half of them; a person is all of its embeddings [P, n, 256]."""
    people, count = embeddings.shape[:2]
    signals = Signals.from_embeddings(
        embeddings.reshape(1, people * count, -1),
        np.repeat(member, count)[None].astype(np.int8),
        person=np.repeat(np.arange(people), count),
    )
    half = np.zeros(people, bool)
    for side in (member, ~member):
        half[np.random.default_rng(seed).permutation(np.flatnonzero(side))[::2]] = True
    scores = np.empty(people)
    for asked in (half, ~half):
        attack = ATTACKS.get(name)(seed=seed).fit(signals.columns(np.repeat(~asked, count)))
        scores[asked] = attack.score(signals.columns(np.repeat(asked, count)))[0, ::count]
    return scores


def sides(seed):
    return np.random.default_rng(seed).permutation(PEOPLE) < PEOPLE // 2


@pytest.mark.parametrize("name", ["mean_cosine", "speaker_similarity"])
@pytest.mark.parametrize("recordings", [1, 2, 4])
def test_an_encoder_that_heard_neither_side_tells_nobody_apart(name, recordings, embeddings):
    of_people = embeddings[:, :recordings]
    aucs = [roc_auc_score(sides(seed), judged(name, of_people, sides(seed), seed)) for seed in range(20)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.05)
    member = sides(0)
    audit = Audit(judged(name, of_people, member, 0), member, np.arange(PEOPLE), 0.0, np.arange(PEOPLE))
    auc = evaluate([audit], 300)["auc"]
    assert auc.low <= 0.5 + 1e-9 and auc.high >= 0.5 - 1e-9


@pytest.mark.parametrize("name", ["mean_cosine", "speaker_similarity"])
def test_an_encoder_that_draws_the_recordings_of_one_side_together_is_seen(name, embeddings):
    """So that the silence of the other test means something."""
    member, centre = sides(0), embeddings.mean(1, keepdims=True)
    drawn = np.where(member[:, None, None], 0.5 * centre + 0.5 * embeddings, embeddings)
    assert roc_auc_score(member, judged(name, drawn, member, 0)) > 0.75
