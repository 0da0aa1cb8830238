"""Statistics of the sound by which no two honest sides differ, and which give a planted difference away."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, sosfilt
from voices import RATE, voice

from mia_lib.auditing.baseline import blind
from mia_lib.auditing.blind import LEVELS, STATISTICS, levels, sound_statistics, spectrum
from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.material import material

LOW_PASS = butter(8, 3400, fs=RATE, output="sos")
SPEAKERS, EACH, SPLITS = 40, 10, int(os.environ.get("SPLITS", 4))  # of real speech; 20 splits take a minute


def sixteen_bits(wave):
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)


def telephone(signal):
    return sixteen_bits(sosfilt(LOW_PASS, signal / 32768))


def found(statistics, member, speaker, protocol, seed=0):
    """AUC of the blind baseline and its interval: a Measure."""
    n = np.arange(len(member))
    evidence = Evidence(
        "m", "logits", np.zeros((len(n), 2)), n % 2, member, speaker, n.astype(str), blind=statistics, protocol=protocol
    )
    return blind(evidence, seed).found.rates(200, seed)["auc"]


def test_levels_are_what_they_are_called():
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    known = dict(zip(LEVELS, levels(np.concatenate([tone, np.zeros(RATE)])), strict=True))
    assert known["level"] == pytest.approx(10 * np.log10(0.125 / 2), abs=0.01)
    assert known["peak"] == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert known["loudest_frames"] == pytest.approx(10 * np.log10(0.125), abs=0.1)
    assert known["noise_floor"] == pytest.approx(-100) and known["silence_share"] == pytest.approx(0.5, abs=0.02)
    assert known["log_seconds"] == pytest.approx(np.log(2)) and known["clipped_share"] == 0


def test_the_spectrum_tells_a_tone_and_a_low_pass():
    tone = np.sin(2 * np.pi * 3250 * np.arange(RATE) / RATE)
    roll_off, bands = np.split(spectrum(tone), [3])
    np.testing.assert_allclose(roll_off, 3.25, atol=0.1)
    assert bands.argmax() == 6 and np.sort(bands)[-2] < bands.max() - 30
    noise = np.random.default_rng(0).standard_normal(RATE)
    assert spectrum(sosfilt(LOW_PASS, noise))[3 + 9 :].max() < -25 and np.abs(spectrum(noise)[3:]).max() < 1


def test_statistics_are_of_each_recording_by_itself_and_of_any_length():
    signals = [sixteen_bits(voice(s, 0, seconds)) for s, seconds in ((0, 0.05), (1, 1.0), (2, 2.2))]
    together = sound_statistics(signals)
    assert together.shape == (3, len(STATISTICS)) and np.isfinite(together).all()
    np.testing.assert_allclose(together[1:2], sound_statistics(signals[1:2]), atol=1e-4)


def test_a_difference_in_sound_alone_is_found_and_its_absence_is_not():
    signals = [sixteen_bits(voice(s, n, 0.5)) for s in range(12) for n in range(10)]
    member, speaker = np.tile([1, 0], 60).astype(np.int8), np.repeat([f"s{s}" for s in range(12)], 10)
    altered = [telephone(one) if inside else one for one, inside in zip(signals, member, strict=True)]
    assert found(sound_statistics(altered), member, speaker, "utterance").low > 0.8
    plain = found(sound_statistics(signals), member, speaker, "utterance")
    assert plain.low <= 0.5 <= plain.high


@pytest.fixture(scope="module")
def speech():
    """Real recordings: signals, and who speaks."""
    root = Path(os.environ.get("MIA_DATA_ROOT") or Path(__file__).parents[3] / "shared" / "data") / "speechocean762"
    if not root.is_dir():
        pytest.skip("real speech is not at ../shared/data: set MIA_DATA_ROOT to the folder that holds speechocean762")
    import pandas as pd

    paths = [path for one in sorted(root.glob("SPEAKER*"))[:SPEAKERS] for path in sorted(one.iterdir())[:EACH]]
    heard = material(
        pd.DataFrame({"path": paths, "speaker": [path.parent.name for path in paths]}), sided=False, workers=1
    )
    return heard.signals(), heard.table["speaker"].to_numpy(str)


@pytest.mark.parametrize("protocol", ["utterance", "speaker"])
def test_in_real_speech_a_planted_low_pass_is_found_and_random_sides_are_alike(speech, protocol):
    signals, speaker = speech
    plain = sound_statistics(signals)
    held = 0
    for seed in range(SPLITS):
        random = np.random.default_rng(seed)
        unit = np.unique(speaker, return_inverse=True)[1] if protocol == "speaker" else np.arange(len(speaker))
        side = np.zeros(unit.max() + 1, np.int8)
        side[random.permutation(len(side))[: len(side) // 2]] = 1
        member = side[unit]
        measure = found(plain, member, speaker, protocol, seed)
        held += measure.low <= 0.5 <= measure.high
    assert held >= SPLITS - 1
    altered = sound_statistics([telephone(one) for one in signals])
    assert found(np.where(member[:, None] == 1, altered, plain), member, speaker, protocol).low > 0.7
