"""Pictures of what is left without the file, and of losses: what stands where, in words for people."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from mia_lib.fragments.versions import CLOSE, VERSIONS
from mia_lib.reporting.loss_figures import LARGEST, losses
from mia_lib.reporting.version_figures import (
    HELD,
    found_aloud,
    found_table,
    held,
    shares_table,
    what_is_left,
    without_file,
)
from mia_lib.studies.versions import ALL


def test_every_version_has_words():
    assert set(HELD) == {*VERSIONS, CLOSE, ALL}
    assert held("held_mp3") == "MP3, 48 kbit/s" and held("held_fax") == "held_fax"


def test_attacks_have_panels_and_versions_rows():
    rows = [
        (attack, f"held_{name}", 0.9 - 0.1 * i) for attack in ("lira_offline", "ramia") for i, name in enumerate(HELD)
    ]
    table = pd.DataFrame(rows, columns=["attack", "condition", "value"])
    table = table.assign(low=table.value - 0.05, high=table.value + 0.05, measure="auc", control="")
    figure = without_file(pd.concat([table, table.assign(control="unexposed", value=0.1)]), "auc", 0.5)
    assert [axis.get_title() for axis in figure.axes] == ["LiRA, offline", "RaMIA (range)"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == list(HELD.values())
    points = figure.axes[1].lines[0]
    np.testing.assert_allclose(np.asarray(points.get_xdata(), float), table.value[len(HELD) :])
    plt.close(figure)


def test_shares_are_told_in_words_and_of_nothing_there_is_none():
    rows = [("held_mp3", 0.9), ("held_telephone", 0.2), ("held_talk", 0.5)]
    table = pd.DataFrame(rows, columns=["condition", "value"]).assign(measure="left_of_auc", attack="lira_offline")
    table = table.assign(low=table.value - 0.1, high=table.value + 0.1, n=9)
    title, sentence = what_is_left(table, "lira_offline", "held_telephone")
    assert title == "Without the file LiRA, offline keeps 20 to 90 % of its advantage in AUC"
    assert (
        "20.0 % [10.0, 30.0] is left with telephone (GSM)" in sentence
        and "most with MP3, 48 kbit/s (90.0 %" in sentence
    )
    title, sentence = what_is_left(table[:0].astype(object), "lira_offline", "held_telephone")
    assert sentence == f"{title}." and "not told from guessing" in title


def test_what_is_found_with_few_false_alarms_is_told_with_and_without_the_file():
    rows = [("held_file", 0.3), ("held_mp3", 0.05), ("held_talk", 0.01), ("held_all", 0.2)]
    table = pd.DataFrame(rows, columns=["condition", "value"]).assign(
        measure="tpr_at_fpr_1e-2", attack="ramia", control=""
    )
    table = table.assign(low=table.value - 0.01, high=table.value + 0.01, n=9)
    assert found_aloud(table, "ramia", 0.01) == (
        "At 1 % false alarms RaMIA (range) finds 30.0 % [29.0, 31.0] of the members with the file; without it the most is "
        "5.0 % [4.0, 6.0], with MP3, 48 kbit/s, the least 1.0 % [0.0, 2.0], with somebody talks, 10 dB below. Guessing "
        "finds 1 %."
    )
    other = table[:2].assign(attack="lira_offline")
    shown = found_table(pd.concat([table, other, table.assign(control="unexposed")]), "tpr_at_fpr_1e-2")
    assert list(shown.columns) == ["RaMIA (range)", "LiRA, offline"] and len(shown) == 4
    assert shown.iloc[2].tolist() == ["1.0 % [0.0, 2.0]", "–"]


def test_a_share_whose_interval_has_no_end_is_not_shown():
    rows = [
        ("held_mp3", "lira_offline", 0.1),
        ("held_mp3", "top3_network", -np.inf),
        ("held_talk", "top3_network", 0.2),
    ]
    table = pd.DataFrame(rows, columns=["condition", "attack", "low"])
    table = table.assign(measure="left_of_auc", value=0.5, high=0.9, n=9, control="")
    whole = dict(condition="held_file", attack="lira_offline", measure="auc", value=0.9, low=0.8, high=0.95)
    shown = shares_table(pd.concat([pd.DataFrame([table.iloc[0].to_dict() | whole]), table]), "auc")
    assert shown.iloc[0].to_dict() == {"LiRA, offline": "AUC 0.900 [0.800, 0.950]", "top-3 network": "–"}
    assert shown.loc["MP3, 48 kbit/s"].to_dict() == {"LiRA, offline": "50.0 % [10.0, 90.0]", "top-3 network": "–"}
    assert list(shown.index) == ["the file itself", "MP3, 48 kbit/s", "somebody talks, 10 dB below"]
    assert "inf" not in " ".join(what_is_left(table, "top3_network", "held_mp3"))
    assert shares_table(table[:0].astype(object), "auc").empty


def test_losses_beyond_the_axis_stand_at_its_edge_and_shares_add_up():
    figure = losses({"none": (np.array([0.0, 1e-3]), np.array([1.0, 1e9])), "mixup": (np.ones(3), np.ones(2))})
    assert [axis.get_title() for axis in figure.axes if axis.get_visible()] == ["none", "mixup"]
    heights = [patch.get_xy() for patch in figure.axes[0].patches]
    assert len(heights) == 2 and max(xy[:, 0].max() for xy in heights) <= 1.1 * LARGEST + 1e-6
    assert all(xy[:, 1].max() == 0.5 for xy in heights)
    plt.close(figure)
