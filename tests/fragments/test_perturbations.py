"""Altered versions of a fragment: what each one does, and that none depends on the batch that it is computed in."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mia_lib.attacks.queries import BUDGET
from mia_lib.features import FEATURES
from mia_lib.features.altered import perturbed_features
from mia_lib.fragments.perturbations import PERTURBATIONS, crop, fill, gain, room, shift, speed, white
from mia_lib.support.cache import Cache
from mia_lib.support.errors import MiaError

RATE = 16_000


def waves(batch=6, samples=8000):
    scale = 10.0 ** -torch.arange(batch)[:, None]  # loud neighbours must not reach into silent fragments
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(0)) * scale


def numbers(*values):
    return torch.tensor([values], dtype=torch.float32)


def ratio(signal, other):
    """Power of `signal` over that of `other` in decibels, of each waveform."""
    return 10 * torch.log10(signal.square().mean(1) / other.square().mean(1))


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_an_altered_version_follows_from_its_own_fragment_row_and_seed(name):
    perturb, x, rows = PERTURBATIONS[name], waves(), torch.tensor([3, 1, 4, 15, 9, 2])
    together = perturb(x, rows, 7)
    assert together.shape == x.shape and together.dtype == x.dtype and torch.isfinite(together).all()
    alone = torch.cat([perturb(x[i : i + 1], rows[i : i + 1], 7) for i in range(len(x))])
    assert (ratio(alone - together, together) < -120).all()  # but for rounding
    order = torch.tensor([5, 0, 3])
    assert (ratio(perturb(x[order], rows[order], 7) - together[order], together[order]) < -120).all()
    assert (ratio(together - x, x) > -35).all()  # it is another version, not the fragment itself


def test_the_first_versions_are_mild_and_each_has_a_name_of_its_own():
    assert list(PERTURBATIONS)[: BUDGET - 1] == ["later", "earlier", "quieter", "noise_30"] and len(PERTURBATIONS) == 12


def test_shift_crop_gain_and_fill_by_hand():
    ten = numbers(*range(10))
    assert shift(ten, None, 0, 0.2).tolist() == [[8, 9, 0, 1, 2, 3, 4, 5, 6, 7]]
    assert shift(ten, None, 0, -0.1).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]]
    assert crop(ten, None, 0, 0.6).tolist() == [[2, 3, 4, 5, 6, 7, 2, 3, 4, 5]]
    assert fill(numbers(1, 2, 3), 5).tolist() == [[1, 2, 3, 1, 2]] and fill(ten, 2).tolist() == [[0, 1]]
    torch.testing.assert_close(gain(numbers(1, -2), None, 0, -20), numbers(0.1, -0.2))
    three_seconds = torch.arange(3.0 * RATE)[None]
    assert PERTURBATIONS["later"](three_seconds, None, 0)[0, RATE // 10] == 0  # 100 ms later


@pytest.mark.parametrize("snr", [30, 20, 10, 5])
def test_noise_has_the_level_that_its_name_says(snr):
    x, rows = waves(4, 48_000), torch.arange(4)
    added = PERTURBATIONS[f"noise_{snr}"](x, rows, 0) - x
    torch.testing.assert_close(ratio(x, added), torch.full((4,), float(snr)), rtol=0, atol=0.1)


def test_noise_is_white_and_differs_between_fragments_levels_and_seeds():
    rows = torch.tensor([0, 1, 2, 70_000])
    drawn = [white(rows, 40_000, seed, stream) for seed, stream in ((0, 30), (0, 20), (1, 30))]
    everything = torch.cat(drawn).double()
    assert everything.mean().abs() < 0.01 and everything.var() == pytest.approx(1, abs=0.01)
    correlations = torch.corrcoef(everything)
    assert (correlations - torch.eye(12)).abs().max() < 0.025
    spectrum = torch.fft.rfft(everything)[:, 1:-1].abs().square().mean(0) / 40_000
    low, high = spectrum[:5000].mean(), spectrum[-5000:].mean()
    assert low == pytest.approx(1, abs=0.03) and high == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("percent, hertz", [(95, 950), (105, 1050)])
def test_a_changed_speed_moves_a_tone(percent, hertz):
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)[None]
    heard = speed(tone, None, 0, percent)[0, : int(0.9 * RATE)]
    assert torch.fft.rfft(heard).abs().argmax() * RATE / len(heard) == pytest.approx(hertz, abs=2)


def test_a_room_starts_with_the_direct_sound_adds_a_tail_and_keeps_the_power():
    click = torch.zeros(2, RATE)
    click[0, 100] = 0.5
    heard = room(click, None, 0, "rm4", 2)
    assert (heard[0, :99].abs() < 1e-6).all() and heard[0].abs().argmax() == 100
    assert heard[0, 400:2000].square().sum() > 0.1 * heard[0].square().sum()
    assert heard[0].square().mean() == pytest.approx(click[0].square().mean())
    assert (heard[1] == 0).all()  # silence stays silent


def fragments(n=40):
    audio = (3000 * np.random.default_rng(0).standard_normal((n, 8000))).astype(np.int16)
    return SimpleNamespace(audio=audio, key="test", sample_rate=RATE)


def test_features_of_the_copies_are_those_of_the_altered_waveforms_over_batches(tmp_path):
    some, rows = fragments(), np.arange(39, 0, -1)
    found = perturbed_features("mfcc", some, rows, 5, 512, Cache(tmp_path), seed=3)
    assert found.shape == (5, 39, 16, 20) and found.dtype == torch.float32
    wave = torch.from_numpy(some.audio[[4]].astype(np.float32) / 32768)
    for q, perturb in enumerate(list(PERTURBATIONS.values())[:5]):
        expected = FEATURES.get("mfcc")(512)(perturb(wave, torch.tensor([4]), 3))
        torch.testing.assert_close(found[q, 35], expected[0], rtol=1e-3, atol=2e-3)


def test_features_of_the_copies_are_computed_once_for_the_same_rows(tmp_path):
    some, rows = fragments(4), np.array([0, 2])
    for cached in (False, True):
        cache = Cache(tmp_path)
        perturbed_features("mfcc", some, rows, 2, 512, cache)
        assert [line["cached"] for line in cache.timings] == [cached]
    perturbed_features("mfcc", some, rows[:1], 2, 512, cache)
    perturbed_features("mfcc", some, rows, 2, 512, cache, seed=1)
    assert [line["cached"] for line in cache.timings[1:]] == [False, False]


def test_more_versions_than_there_are_is_one_sentence(tmp_path):
    with pytest.raises(MiaError, match="there are 12 altered versions of a fragment, so 13 cannot"):
        perturbed_features("mfcc", fragments(2), np.array([0]), 13, 512, Cache(tmp_path))
