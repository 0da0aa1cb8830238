"""Numbers and names as people read them in tables and sentences."""

import math

import pandas as pd
import pytest

from mia_lib.reporting.headline import attack_name
from mia_lib.reporting.measures import CORNER, JUDGED, in_percent, judged, spoken
from mia_lib.reporting.words import between, written


def summary(nonmembers):
    row = dict.fromkeys(JUDGED, 0.5) | {"the paper says": "chance", "by": "lira_online", "change": "leaks less"}
    row |= {"test accuracy": 0.957, CORNER: 0.0123, "cost in points": "1.2 [0.1, 2.3]", "claim": "not tried"}
    ends = {name: (0.4, 0.6) for name in row} | {"test accuracy": (0.95, 0.962), CORNER: (math.nan, math.nan)}
    return pd.DataFrame(
        [row | {"non-members": nonmembers, "evidence": "at length " * 50, "ends": ends}], index=["dmp:2"]
    )


def test_a_summary_of_defenses_leaves_out_what_sentences_say_and_names_attacks_for_people():
    shown = judged(summary(3069)).loc["dmp:2"]
    assert (
        shown["test accuracy"] == "95.7 % [95.0, 96.2]"
        and judged(summary(3069), ["by"]).loc["dmp:2", "which is"] == "LiRA, online"
    )
    assert shown["found at 0.1 % false positives"] == "1.2 %" and shown["verdict"] == "leaks less"
    assert not any("at length" in str(value) for value in shown)


def test_a_rate_that_too_few_non_members_can_carry_is_not_shown():
    assert judged(summary(300)).loc["dmp:2", "found at 0.1 % false positives"] == "not measurable below 1 in 300"


def test_only_the_columns_that_are_asked_for_are_shown():
    assert list(judged(summary(3069), ["the paper says", "change"])) == ["the paper says", "verdict"]


def test_next_to_nothing_has_no_sign():
    assert between(-0.0001, 0.0001, "rate") == "[0.0, 0.0]" and written(-0.0001, "score") == "0.000"


def test_what_the_paper_reports_stands_in_percent_as_what_is_measured_does():
    assert in_percent("0.879 (LibriSpeech), 0.828 (VOiCES, room 1)") == "87.9 % (LibriSpeech), 82.8 % (VOiCES, room 1)"
    shown = judged(summary(3069).assign(**{"the paper says": "0.879 (LibriSpeech)"}), ["the paper says"])
    assert shown.iloc[0, 0] == "87.9 % (LibriSpeech)"


@pytest.mark.parametrize(
    "sentence, heard",
    [
        (
            "AUC 0.986 (lira_online) → 0.754 (label_only_calibrated)",
            "AUC 0.986 (LiRA, online) → 0.754 (label only, calibrated)",
        ),
        ("behind `label_only` and `hamp_output`", "behind `label_only` and `hamp_output`"),
        ("found by top3_network.", "found by top-3 network."),
    ],
)
def test_sentences_name_attacks_for_people_and_defenses_as_they_are_called(sentence, heard):
    assert spoken(sentence) == heard


def test_the_same_attack_fitted_on_shadows_and_on_reference_models_has_two_names():
    row = {"defense": "none", "adaptive": False}
    assert attack_name(row | {"attack": "top3_network"}) == "top-3 network"
    assert attack_name(row | {"attack": "top3_network_references"}) == "top-3 network, on reference models"
