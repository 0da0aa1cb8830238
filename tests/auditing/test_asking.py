"""What somebody's model can do wrong, one clear sentence each; a recording that it fails on is named, skipped and counted."""

import threading
import warnings

import numpy as np
import pytest
from faulty import MARKED, crashes, marked
from voices import RATE, bands, folder, voice, write

from mia_lib.auditing.recordings import evidence_of_recordings
from mia_lib.features.foreign.models import Model
from mia_lib.support.errors import MiaError, UsageError


@pytest.fixture
def sides(tmp_path):
    """Members and non-members, one of whose recordings is marked."""
    inside, outside = folder(tmp_path / "in"), folder(tmp_path / "out", numbers=range(3, 6))
    loud = voice(1, 4)
    loud[100] = MARKED
    write(outside / "s1" / "4.wav", loud)
    return inside, outside


def asked(model, sides, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evidence_of_recordings(model, *sides, **({"seconds": 0.5, "max_bad": 0.1} | options))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (crashes, "crashes: ValueError: I do not like this one"),
        (lambda waves: np.where(np.abs(waves).max(1, keepdims=True) > 0.89, np.nan, bands(waves)), "not numbers"),
        (lambda waves: bands(waves)[:, : 5 if marked(waves) else 8], "has 5 numbers where others have 8"),
        ("faulty:dies", "its process ended"),
        ("faulty:hangs", "no answer within 1 s"),
    ],
    ids=["crashes", "nan", "width", "dies", "hangs"],
)
def test_a_recording_that_a_model_fails_on_is_named_and_skipped(sides, model, why):
    evidence = asked(model, sides, seconds_per_call=1, seconds=0)
    assert len(set(evidence.recording)) == 17 and evidence.found == 18 and np.isfinite(evidence.answers).all()
    [(path, reason)] = evidence.lost.itertuples(index=False)
    assert path.endswith("out/s1/4.wav") and why in reason and "\n" not in reason


def test_a_recording_on_which_a_function_hangs_is_named_and_skipped(sides):
    released = threading.Event()

    def hangs(waves):
        if marked(waves):
            released.wait()
        return bands(waves)

    try:
        evidence = asked(hangs, sides, seconds_per_call=0.3, copies=0)
    finally:
        released.set()
    assert len(set(evidence.recording)) == 17
    [(path, reason)] = evidence.lost.itertuples(index=False)
    assert path.endswith("out/s1/4.wav") and reason == "hangs: no answer within 0.3 s"


def test_more_failures_than_allowed_stop_the_audit_at_the_first(sides):
    with pytest.raises(
        MiaError, match=r"crashes fails on 1 recordings, more than --max-bad allows; the first is .*4\.wav"
    ):
        asked(crashes, sides, max_bad=0.05)


def test_a_named_model_answers_as_the_function_does_and_may_print(sides):
    one, other = asked(bands, sides), asked("faulty:chatters", sides)
    np.testing.assert_array_equal(one.answers, other.answers)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda waves: bands(waves)[0], r"answers 1 recordings with an array of shape \[8\].*\[1, C\]"),
        (lambda waves: bands(waves) - bands(waves).mean(0), "differently alone and in a batch"),
        (lambda waves: np.zeros((len(waves), 8)) + len(waves), "differently alone and in a batch"),
        (lambda waves: bands(waves)[:, : 4 + len(waves)], "gives 5 numbers for a recording and then 7"),
        (lambda waves: (bands(waves), 1), "gives 2 outputs at once"),
        (lambda waves: waves @ np.zeros((48_000, 3)), r"answers none of the first 3 recordings \(0.5 s.*--seconds"),
        (Model("m", bands, samples=4000), "takes 4000 samples at a time, not 8000: say --seconds 0.25"),
    ],
    ids=["no batch", "normalised over the batch", "counts the batch", "width", "two outputs", "length", "fixed length"],
)
def test_a_model_that_cannot_be_audited_is_told_in_one_sentence(sides, model, says):
    with pytest.raises(MiaError, match=says) as told:
        asked(model, sides)
    assert "\n" not in str(told.value)


def test_a_model_that_takes_one_recording_at_a_time_is_asked_so(sides):
    def one_only(waves):
        assert len(waves) == 1
        return bands(waves)

    np.testing.assert_array_equal(asked(one_only, sides).answers, asked(bands, sides).answers)
    np.testing.assert_array_equal(asked(Model("m", one_only, batch=1), sides).answers, asked(bands, sides).answers)


def test_a_model_of_a_fixed_batch_is_asked_with_full_batches(sides):
    def seven_only(waves):
        assert len(waves) == 7
        return bands(waves)

    np.testing.assert_array_equal(asked(Model("m", seven_only, batch=7), sides).answers, asked(bands, sides).answers)


def test_random_answers_are_said_to_be_so_and_taken(sides):
    random = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="answers the same recording differently each time"):
        evidence_of_recordings(
            lambda waves: bands(waves) + random.standard_normal((len(waves), 8)), *sides, seconds=0.5
        )


def test_recordings_of_different_lengths_are_asked_whole(tmp_path):
    for number, seconds in enumerate((0.4, 1.1, 0.7, 1.1)):
        write(tmp_path / ("in" if number < 2 else "out") / "s0" / f"{number}.wav", voice(0, number, seconds))
    heard = []

    def listening(waves):
        heard.append(waves.shape)
        return bands(waves)

    evidence = asked(listening, (tmp_path / "in", tmp_path / "out"), seconds=0)
    assert len(evidence.answers) == 4 and {round(t / RATE, 1) for _, t in heard} == {0.4, 0.7, 1.1}


@pytest.mark.parametrize(
    "options", [{"gives": "scores"}, {"protocol": "paper"}, {"seconds_per_call": 0}, {"seconds": -1}, {"max_bad": 2}]
)
def test_options_that_mean_nothing_are_refused(sides, options):
    with pytest.raises(UsageError, match=f"--{next(iter(options)).replace('_', '-')}"):
        asked(bands, sides, **options)
