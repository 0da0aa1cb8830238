"""Coins for the next training run: fair, one a recording, written once and read back."""

import warnings

import numpy as np
import pandas as pd
import pytest
from voices import bands, folder, voice, write

from mia_lib.auditing.coins import check_coins, draw_coins, write_coins
from mia_lib.auditing.recordings import evidence_of_recordings
from mia_lib.support.errors import MiaError, UsageError


def test_each_recording_is_drawn_for_once_and_copies_are_left_out(tmp_path):
    root = folder(tmp_path, range(4), range(10))
    write(root / "s0" / "copy.wav", voice(0, 3))
    (root / "s0" / "broken.wav").write_bytes(b"RIFF")
    drawn, lost = draw_coins(root, seed=3)
    assert len(drawn) == 40 and set(drawn["member"]) == {0, 1} and list(drawn) == ["path", "speaker", "member"]
    assert 10 < drawn["member"].sum() < 30
    assert sorted(path.rpartition("/")[2] for path in lost["path"]) == ["broken.wav", "copy.wav"]
    pd.testing.assert_frame_equal(drawn, draw_coins(root, seed=3)[0])
    assert (drawn["member"] != draw_coins(root, seed=4)[0]["member"]).any()


def test_coins_are_fair_and_independent_of_each_other(tmp_path):
    root = folder(tmp_path, range(2), range(6), seconds=0.3)
    heads = np.array([draw_coins(root, seed)[0]["member"] for seed in range(100)])
    assert abs(heads.mean() - 0.5) < 0.06
    assert len(set(heads.sum(1))) > 4, "the number of members is drawn too"


def test_what_was_drawn_is_read_back_as_coins_whatever_it_is_called(tmp_path):
    root = folder(tmp_path / "data", range(3), range(4))
    write(root / "=s9" / "-1, odd.wav", voice(9, 0))
    drawn, _ = draw_coins(root, seed=0)
    write_coins(drawn, tmp_path / "coins.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evidence = evidence_of_recordings(bands, tmp_path / "coins.csv", coins=True, seconds=0)
    assert evidence.coins and evidence.member.tolist() == drawn["member"].tolist()
    assert "=s9" in evidence.speaker


def test_a_list_whose_coins_may_be_in_use_is_not_written_over(tmp_path):
    drawn = pd.DataFrame({"path": ["a"], "speaker": ["s"], "member": [1]})
    write_coins(drawn, tmp_path / "coins.csv")
    with pytest.raises(UsageError, match=r"coins\.csv is there already"):
        write_coins(drawn, tmp_path / "coins.csv")
    with pytest.raises(UsageError, match="there is no folder"):
        write_coins(drawn, tmp_path / "nowhere" / "coins.csv")


def test_memberships_that_fair_coins_do_not_give_are_refused():
    check_coins(np.repeat([1, 0], [60, 40]))
    with pytest.raises(MiaError, match="90 of 100 recordings are members, which fair coins do not give"):
        check_coins(np.repeat([1, 0], [90, 10]))
