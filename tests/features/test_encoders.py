"""Speaker encoders: Resemblyzer is what its own package computes, row by row, and its weights are data, never code."""

import pickle

import numpy as np
import pytest
import torch

from mia_lib.features.encoders import ENCODERS, resemblyzer
from mia_lib.features.encoders.resemblyzer import part_starts
from mia_lib.features.named import feature_kinds
from mia_lib.support.errors import UsageError
from mia_lib.support.source import closure


def waves(count=3, samples=48_000):
    """Tones with harmonics that rise and fall, of different loudness, float32 [count, samples]."""
    t = torch.arange(samples) / 16_000
    rows = []
    for k in range(count):
        pitch = 100 + 40 * k + 10 * torch.sin(6 * t)
        phase = 2 * torch.pi * torch.cumsum(pitch, 0) / 16_000
        tone = sum(torch.sin(n * phase) / n for n in range(1, 12))
        rows.append(0.1 * 0.5**k * tone * (0.6 + 0.4 * torch.sin(20 * t)))
    return torch.stack(rows).float()


@pytest.fixture(scope="module")
def encoder():
    try:
        return ENCODERS.get("resemblyzer")()
    except UsageError as error:
        pytest.skip(str(error))


def test_resemblyzer_is_what_its_own_package_computes(encoder):
    theirs = pytest.importorskip("resemblyzer", exc_type=ImportError)
    model = theirs.VoiceEncoder("cpu", verbose=False)
    for samples in (12_000, 25_600, 48_000, 71_234):
        sound = waves(samples=samples)
        ours = encoder(sound).numpy()
        for wave, embedding in zip(sound.numpy(), ours, strict=True):
            expected = model.embed_utterance(theirs.normalize_volume(wave, -30, increase_only=True))
            assert embedding @ expected > 0.99999, samples


def test_resemblyzers_embedding_of_a_known_sound(encoder):
    expected = [
        [0.0, 0.0026, 0.0169, 0.0, 0.0458, 0.0, 0.0, 0.0564],
        [0.0191, 0.1765, 0.0582, 0.0, 0.0524, 0.0, 0.0, 0.2903],
        [0.0521, 0.1291, 0.0221, 0.0, 0.0255, 0.0009, 0.0, 0.2214],
    ]
    np.testing.assert_allclose(encoder(waves())[:, ::32].numpy(), expected, atol=2e-4)


def test_an_embedding_has_length_one_and_does_not_depend_on_the_batch(encoder):
    sound = waves()
    together = encoder(sound)
    assert together.shape == (3, 256) and together.dtype == torch.float32
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    for row, alone in zip(together, sound, strict=True):
        torch.testing.assert_close(encoder(alone[None])[0], row, rtol=1e-4, atol=1e-5)


def test_quiet_sound_is_raised_loud_sound_left_and_silence_has_an_embedding(encoder):
    quiet = 0.02 * waves(1)
    torch.testing.assert_close(encoder(quiet), encoder(0.5 * quiet), rtol=1e-3, atol=1e-4)
    assert (encoder(waves(1)) - encoder(2 * waves(1))).abs().max() > 1e-3
    assert torch.isfinite(encoder(torch.zeros(1, 16_000))).all()


@pytest.mark.parametrize(
    "samples, starts", [(100, [0]), (25_600, [0]), (31_519, [0]), (31_520, [0, 77]), (48_000, [0, 77, 154])]
)
def test_a_sound_is_cut_into_parts_by_hand(samples, starts):
    assert part_starts(samples) == starts


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(resemblyzer, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install resemblyzer"):
        ENCODERS.get("resemblyzer")()
    with pytest.raises(UsageError, match=r"unknown encoder 'ressemblyzer': choose one of .*resemblyzer"):
        ENCODERS.get("ressemblyzer")


def test_the_code_of_an_encoder_is_in_the_keys_of_its_embeddings():
    ours, _ = closure(frozenset(kind.__module__ for kind in feature_kinds("encoder:resemblyzer")))
    assert {"mia_lib.features.encoders.resemblyzer", "mia_lib.features.foreign.encoder"} <= ours


class Payload:
    def __reduce__(self):
        return print, ("code of the file was run",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [Payload(), {"model_state": {"lstm.weight_ih_l0": 1}}, {"weights": {}}, [1, 2]])
def test_a_file_that_holds_no_weights_is_refused_and_runs_no_code(content, tmp_path, monkeypatch, capsys):
    file = tmp_path / "pretrained.pt"
    if isinstance(content, Payload):
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file)
    monkeypatch.setattr(resemblyzer, "weights", lambda: file)
    with pytest.raises(UsageError, match=r"pretrained\.pt: does not hold Resemblyzer's weights"):
        ENCODERS.get("resemblyzer")()
    assert capsys.readouterr().out == ""
