"""Features equal librosa's and do not depend on what else is in the batch."""

import librosa
import numpy as np
import pytest
import torch

from mia_lib.features import FEATURES
from mia_lib.features.compute import extract

REFERENCE = {
    "mfcc": lambda y: librosa.feature.mfcc(
        y=y, sr=16_000, n_mfcc=20, n_mels=128, n_fft=2048, hop_length=512, fmax=8000
    ),
    "stft": lambda y: np.abs(librosa.stft(y, n_fft=2048, hop_length=512)),
    "logmel": lambda y: librosa.power_to_db(
        librosa.feature.melspectrogram(y=y, sr=16_000, n_mels=128, n_fft=2048, hop_length=512, fmax=8000)
    ),
}


def audio():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((3, 48_000)) * np.array([[3000], [300], [30]])).astype(np.int16)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_features_equal_librosa(name):
    ours = extract(name, [audio()], 512)[0].double().numpy()
    for wave, feature in zip(audio(), ours, strict=True):
        expected = REFERENCE[name](wave.astype(np.float32) / 32768).T
        assert feature.shape == expected.shape == (94, expected.shape[1])
        assert np.abs(feature - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_a_fragments_features_do_not_depend_on_the_batch(name):
    waves = torch.from_numpy(audio().astype(np.float32) / 32768) * torch.tensor([[1.0], [1e-2], [1e-3]])
    transform = FEATURES.get(name)(512)
    torch.testing.assert_close(transform(waves)[2:], transform(waves[2:]), rtol=1e-4, atol=1e-4)
