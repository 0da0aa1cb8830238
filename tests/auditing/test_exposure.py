"""Who is exposed: shares of the other non-members with exact intervals, by hand."""

import numpy as np
import pytest
from made_up import signals

from mia_lib.auditing.columns import evidence_of
from mia_lib.auditing.exposure import shares_below
from mia_lib.auditing.report import judge
from mia_lib.evaluation.intervals import clopper_pearson


def test_exposure_is_the_share_of_the_other_nonmembers_that_score_lower():
    scores, member = np.array([5.0, 1.0, 1.0, 2.0, 3.0]), np.array([True, True, False, False, False])
    share, low, high = shares_below(scores, member)
    np.testing.assert_allclose(share, [1, 1 / 6, 0, 1 / 2, 1])
    assert (low[0], high[0]) == pytest.approx(clopper_pearson(3, 3)) and (low[3], high[3]) == pytest.approx(
        clopper_pearson(1, 2)
    )


def test_one_nonmember_cannot_be_compared_with_others():
    share, _, _ = shares_below(np.array([1.0, 2.0]), np.array([True, False]))
    assert np.isnan(share).all()


def test_who_is_remembered_ranks_first_and_is_found_by_name():
    arrays = signals()
    arrays["logits"][arrays["label"] == 3, 3] += 8 * arrays["member"][arrays["label"] == 3]
    report = judge(evidence_of(arrays, "made up"), draws=50)
    first = report.people.iloc[0]
    assert (first["speaker"], first["member"], first["rank"]) == ("s03", 1, 1) and first["low"] > 0.7
    assert "loss" in first["found_by"].split("; ") and first["found"] == len(first["found_by"].split("; "))
    assert set(report.recordings["speaker"].iloc[:3]) == {"s03"} and report.recordings["member"].iloc[:3].all()
    assert (report.recordings["exposure"].diff().dropna() <= 0).all()


def test_fragments_of_a_recording_are_one_row():
    arrays = signals(leak=3.0)
    twice = {name: np.repeat(part, 2, axis=0) for name, part in arrays.items()}
    report = judge(evidence_of(twice, "made up"), draws=20, attacks=["loss"])
    assert len(report.recordings) == 120 and report.recordings["exposure"].between(0, 1).all()


def test_recordings_of_one_name_by_two_speakers_are_two():
    arrays = signals()
    arrays["recording"] = np.tile([f"{i}.wav" for i in range(10)], 12)
    report = judge(evidence_of(arrays, "made up"), draws=20, attacks=["loss"])
    assert len(report.recordings) == 120
