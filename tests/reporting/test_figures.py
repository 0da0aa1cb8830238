"""Figures sort numbers by the columns of their circumstances."""

import io

import numpy as np
import pandas as pd
import pytest

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import COLUMNS, Result, results_table
from mia_lib.reporting import figures


def records(*results, attack="top3_network", protocol="utterance"):
    identity = dict(
        corpus="demo", profile="smoke", seed=0, protocol=protocol, defense="none", attack=attack, adaptive=False
    )
    return results_table(identity, results)


def measure(value):
    return Measure(value, value - 0.1, value + 0.1, 10)


def drawn(figure):
    """Label -> the heights of its points, of the first axes."""
    lines = {c.get_label(): c.lines[0] for c in figure.axes[0].containers}
    found = {label: line.get_ydata().tolist() for label, line in lines.items()}
    figures.plt.close(figure)
    return found


@pytest.mark.parametrize("column", ["references", "queries"])
def test_curves_run_over_the_column_of_their_name(column):
    table = records(*(Result("auc", measure(0.5 + n / 100), **{column: n}) for n in (4, 8)))
    figure = figures.against_count(table, "auc", 0.5) if column == "references" else figures.against_budget(table)
    assert figure.axes[0].get_xticks().tolist() == [4, 8]
    assert drawn(figure) == {"top-3 network": [0.54, 0.58]}


def test_persons_are_drawn_apart_from_their_control():
    table = records(
        Result("auc", measure(0.7), enrolment=1),
        Result("auc", measure(0.8), enrolment=5),
        Result("auc", measure(0.5), enrolment=1, control="unexposed"),
        Result("auc", measure(0.5), enrolment=5, control="unexposed"),
        Result("audit_units", measure(30), enrolment=5),
    )
    assert drawn(figures.enrolment(table)) == {"top-3 network": [0.7, 0.8], "top-3 network, control": [0.5, 0.5]}


def test_the_main_picture_shows_plain_numbers_beside_their_control_only():
    table = records(
        Result("auc", measure(0.7)),
        Result("auc", measure(0.6), control="unexposed"),
        Result("auc", measure(0.9), condition="room_rm1"),
        Result("auc", measure(0.4), control="shuffled"),
    )
    expected = {"model under attack": [0.7], "model that never saw these voices": [0.6]}
    heights = {c.get_label(): c.lines[0].get_xdata().tolist() for c in figures.main_result(table).axes[0].containers}
    assert heights == expected
    old = figures.main_result(pd.concat([table[COLUMNS]]))
    assert [c.get_label() for c in old.axes[0].containers] == ["model under attack"]


def test_no_interval_of_the_main_picture_ends_on_its_frame():
    wide = [
        Result("auc", Measure(v, v - 0.4, v + 0.1, 9), control=control)
        for v, control in ((0.6, "unexposed"), (0.9, ""))
    ]
    axis = figures.main_result(records(*wide)).axes[0]
    assert axis.get_xlim()[0] < 0.2
    figures.plt.close(axis.figure)


def test_a_speakers_name_is_no_formula():
    audio, features = np.arange(1000, dtype=np.int16)[None], np.random.default_rng(0).random((1, 5, 4))
    figure = figures.waveforms(audio, features, [r"$\frac1$"], 512)
    figure.savefig(io.BytesIO())
    figures.plt.close(figure)


def test_the_title_of_a_roc_says_the_rate_that_the_records_say():
    rng = np.random.default_rng(0)
    member, clusters = np.repeat([True, False], 300), np.array([f"s{i % 30}" for i in range(600)])
    scores = rng.normal(member * 1.5, 1)
    audits = [Audit(scores, member, clusters, 0.0, np.arange(600))]
    figure = figures.roc({"loss": audits}, 10)
    found = evaluate(audits, 0)["tpr_at_fpr_1e-2"].value
    assert figure.get_label() == f"Members found at 1 % false alarms: loss {100 * found:.1f} %"
    figures.plt.close(figure)
