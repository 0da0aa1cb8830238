"""What somebody holds who does not hold the file: each version by its own fragment alone, and as much changed as it says."""

import numpy as np
import pytest
import torch

from mia_lib.corpora.base import Corpus, open_corpus
from mia_lib.features.versions import held_waves
from mia_lib.fragments.perturbations import PERTURBATIONS, PerturbedAudio
from mia_lib.fragments.versions import (
    CLOSE,
    EXACT,
    RANGE,
    TALK_DB,
    VERSIONS,
    overheard,
    range_of,
    talk,
    version,
    versions_of,
)
from mia_lib.support.errors import MiaError, UsageError


def voices(batch=3, samples=24_000):
    """Speech-like sound: harmonics of a pitch of each one's own under a slow envelope."""
    time = torch.arange(samples) / 16_000
    tones = [sum(torch.sin(2 * np.pi * (110 + 30 * b) * k * time) / k for k in range(1, 20)) for b in range(batch)]
    return 0.1 * torch.stack(tones) * (1.2 + torch.sin(2 * np.pi * 3 * time))


def snr(signal, other):
    return 10 * torch.log10(signal.square().mean(1) / (other - signal).square().mean(1))


@pytest.mark.parametrize("name", VERSIONS)
def test_a_version_follows_from_its_own_fragment_row_and_seed(name):
    x, rows = voices(), torch.tensor([5, 1, 70_001])
    together = VERSIONS[name](x, rows, 3)
    assert together.shape == x.shape and together.dtype == x.dtype and torch.isfinite(together).all()
    alone = torch.cat([VERSIONS[name](x[i : i + 1], rows[i : i + 1], 3) for i in (2, 0)])
    torch.testing.assert_close(alone, together[[2, 0]], rtol=0, atol=1e-5)
    assert name == EXACT or (snr(x, together) < 40).all()


def test_the_file_itself_comes_first_and_is_untouched():
    assert next(iter(VERSIONS)) == EXACT and version(EXACT, Corpus(), None)(voices(), None, 0).equal(voices())


def test_mp3_keeps_what_is_heard_in_its_place_and_a_telephone_half_of_the_band():
    x = voices()
    assert (snr(x, VERSIONS["mp3"](x, None, 0))[:, None] > 10).all()  # no delay of a codec is left
    heard = VERSIONS["telephone"](x + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), None, 0)
    spectrum = torch.fft.rfft(heard).abs().square()
    cut = int(4200 / 8000 * spectrum.shape[1])
    assert (spectrum[:, cut:].sum(1) < 1e-3 * spectrum.sum(1)).all()


def test_one_second_is_repeated_and_a_talker_is_as_loud_as_said():
    long = voices(samples=48_000)
    second = VERSIONS["one_second"](long, None, 0)
    torch.testing.assert_close(second[:, :16_000], long[:, 16_000:32_000])
    torch.testing.assert_close(second[:, 16_000:32_000], long[:, 16_000:32_000])
    heard = [overheard(long, torch.tensor(rows), 1, TALK_DB) for rows in ([0, 1, 2], [3, 4, 5])]
    assert (
        snr(long, heard[0]) - TALK_DB
    ).abs().max() < 6  # over a minute the talker's power is one; three seconds vary
    assert (heard[0] - heard[1]).abs().max() > 0.01
    assert talk(1).std() == pytest.approx(1, abs=0.01) and len(talk(1)) > 10 * 16_000


def test_a_range_is_the_version_in_hand_and_what_is_made_of_it():
    x, rows = voices(), np.array([4, 0, 9])
    audio = (x.new_zeros(10, x.shape[1]).index_copy(0, torch.from_numpy(rows), x) * 32768).to(torch.int16).numpy()
    waves = held_waves(PerturbedAudio(audio, rows, VERSIONS["one_second"], 0), "held")
    held = VERSIONS["one_second"](torch.from_numpy(audio[rows] / 32768).float(), torch.from_numpy(rows), 0)
    torch.testing.assert_close(torch.from_numpy(waves / 32768).float(), held, rtol=0, atol=1e-4)
    asked = [PerturbedAudio(waves, rows, function, 5, chosen=True)[1:3] for function in range_of()]
    assert len(asked) == 1 + len(RANGE)
    torch.testing.assert_close(asked[0], held[1:3], rtol=0, atol=1e-4)
    for found, name in zip(asked[1:], RANGE, strict=True):
        expected = PERTURBATIONS[name](torch.from_numpy(waves[1:3] / 32768).float(), torch.from_numpy(rows[1:3]), 5)
        torch.testing.assert_close(found, expected)


def test_an_unknown_version_is_refused_by_its_name():
    with pytest.raises(UsageError, match="unknown version 'fax' of a recording: choose one of file, mp3"):
        version("fax", Corpus(), None)


def test_what_was_played_is_asked_about_where_a_corpus_has_it():
    corpus, dry = open_corpus("demo-farfield:8x4"), open_corpus("demo:8x4")
    table = corpus.table().assign(start=0.5)
    assert versions_of(corpus, table) == (*VERSIONS, CLOSE) and CLOSE not in versions_of(dry, dry.table())
    loud, rows = torch.full((2, 16_000), 0.3), torch.tensor([0, len(table) - 1])
    close = version(CLOSE, corpus, table)(loud, rows, 0)
    torch.testing.assert_close(close.square().mean(1).sqrt(), torch.full((2,), 0.3))
    for heard, row in zip(close.numpy(), rows.tolist(), strict=True):
        played = corpus.played(table.source.iloc[row])[8000:24_000]
        np.testing.assert_allclose(heard / heard.std(), played / np.sqrt(np.mean(played**2)), rtol=0.02, atol=0.02)
    with pytest.raises(MiaError, match=r"what was played of .* is missing, or ends before second 99"):
        version(CLOSE, corpus, table.assign(start=99.0))(loud, rows, 0)
