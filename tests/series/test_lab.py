"""What a notebook leaves for the run's report."""

import json

import matplotlib.pyplot as plt
import pytest

from mia_lib.series.lab import Lab

PARAMETERS = dict(
    corpus="demo:24x10", profile="smoke", seed=0, device="cpu", run_id="run", data_root="", max_bad=0.05, settings={}
)


@pytest.mark.parametrize("show", ["say", "figure"])
def test_stages_are_noted_by_a_notebook_that_records_no_numbers(tmp_path, show):
    lab = Lab("01_some", outputs=str(tmp_path), **PARAMETERS)
    _ = lab.experiment.features
    lab.say("Done.") if show == "say" else lab.figure(plt.figure(), "one", "Nothing.")
    noted = json.loads((tmp_path / "run" / "parts" / "01_some" / "stages.json").read_text())
    assert [stage["stage"] for stage in noted] == ["fragments", "features-mfcc"]
    assert not any(stage["cached"] for stage in noted)
