"""Tables do no harm when they are opened in a spreadsheet, and come back as they were."""

import io

import pandas as pd
import pytest

from mia_lib.evaluation.reading import read_results
from mia_lib.evaluation.records import COLUMNS
from mia_lib.series.provenance import merge_results
from mia_lib.support.spreadsheets import as_it_was, to_csv

HOSTILE = ["=HYPERLINK(1)", "+cmd|'/C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "'=1", "＝1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula_and_each_comes_back(text):
    csv = to_csv(pd.DataFrame({"a": [text]}))
    cell = pd.read_csv(io.StringIO(csv), dtype=str)["a"]
    assert cell[0] == f"'{text}"
    assert as_it_was(cell.to_frame())["a"][0] == text


@pytest.mark.parametrize("value", ["-0.5", "+1e-3", "-inf", -0.5, "none", "folder:x", "it's", ""])
def test_numbers_and_plain_words_stay_as_they_are(value):
    table = pd.DataFrame({"a": [value, "x"]})
    assert to_csv(table) == table.to_csv(index=False, lineterminator="\n")


def test_the_results_of_a_run_are_written_so_and_read_back(tmp_path):
    row = dict.fromkeys(COLUMNS, "none") | {"corpus": "=1+1", "seed": 0, "value": -0.5, "low": -1, "high": 0, "n": 3}
    (tmp_path / "parts/01_a").mkdir(parents=True)
    pd.DataFrame([row]).to_csv(tmp_path / "parts/01_a/results.csv", index=False)
    assert merge_results(tmp_path, ["01_a"])["corpus"].tolist() == ["=1+1"]
    assert "\n'=1+1,none,0" in (tmp_path / "results.csv").read_text(encoding="utf-8")
    read = read_results(tmp_path / "results.csv")
    assert (read["corpus"][0], read["value"][0]) == ("=1+1", -0.5)
