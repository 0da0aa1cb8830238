"""What people see while a stack trains: how many steps there are, how many are done, and how it goes."""

import json
import time
from dataclasses import replace

import pytest
from safetensors import safe_open
from test_bookkeeping import small

from mia_lib.support import progress
from mia_lib.training.objective import Objective
from mia_lib.training.train import train_job


@pytest.fixture
def bars(monkeypatch):
    """All bars that are shown from here on."""
    shown = []

    class Seen(progress.Bar):
        def __init__(self, label, total, unit):
            super().__init__(label, total, unit)
            self.unit = unit
            shown.append(self)

    monkeypatch.setattr(progress, "Bar", Seen)
    return shown


def test_progress_counts_the_steps_of_the_model_that_has_most(bars):
    train_job(replace(small(), label="shadows"), Objective())
    (bar,) = bars
    assert (bar.label, bar.total, bar.done, bar.unit) == ("shadows", 15, 15, "step")
    assert bar.note.startswith("loss ") and bar.note.endswith("%")


def test_a_resumed_run_counts_the_steps_and_the_seconds_from_before(bars, tmp_path, monkeypatch):
    monkeypatch.setattr("mia_lib.training.train.CHECKPOINT_SECONDS", 0.0)
    job = replace(small(), checkpoint=tmp_path / "checkpoint.safetensors")

    class Killed(Objective):
        def losses(self, network, features, labels, batch):
            if batch.step == 7:
                raise KeyboardInterrupt
            return super().losses(network, features, labels, batch)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        train_job(job, Killed())
    with safe_open(job.checkpoint, "pt") as file:
        before = json.loads(file.metadata()["about"])["seconds"]
    assert 0 < before < time.monotonic() - started
    resumed = train_job(job, Objective())
    assert before < resumed.seconds < time.monotonic() - started
    assert [bar.done for bar in bars] == [7, 15] and bars[1].total == 15
