"""Attacks stand beside those that were asked about the same fragments, and beside no others."""

import pandas as pd
from matplotlib import pyplot as plt

from mia_lib.reporting.attack_figures import by_audit_set


def test_attacks_that_were_tried_on_other_fragments_have_a_panel_of_their_own():
    rows = [
        ("lira_online", 0.4, 6960),
        ("gap_references", 0.0, 6960),
        ("white_box", 0.35, 1629),
        ("lira_online", 0.27, 1629),
    ]
    table = pd.DataFrame(rows, columns=["attack", "value", "n"]).assign(metric="tpr_at_fpr_1e-2")
    table = table.assign(low=table.value, high=table.value + 0.1)
    figure = by_audit_set(pd.concat([table, table.assign(metric="auc", value=0.9)]), "tpr_at_fpr_1e-2", 0.01)
    names = [[tick.get_text() for tick in axis.get_yticklabels()] for axis in figure.axes]
    assert names == [["LiRA, online", "gap"], ["white box, combined", "LiRA, online"]]
    assert [axis.get_title(loc="right") for axis in figure.axes] == ["n = 6,960", "n = 1,629"]
    assert figure.axes[1].containers[0].lines[0].get_xdata().tolist() == [0.35, 0.27]
    plt.close(figure)
