"""What a notebook leaves for the run's report."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mia_lib.series import lab as workbench
from mia_lib.series.lab import Lab
from mia_lib.support.errors import UsageError

PARAMETERS = dict(
    corpus="demo:8x4", profile="smoke", seed=0, device="cpu", run_id="run", data_root="", max_bad=0.05, settings={}
)


@pytest.mark.parametrize("show", ["say", "figure"])
def test_stages_are_noted_by_a_notebook_that_records_no_numbers(tmp_path, show):
    lab = Lab("01_some", outputs=str(tmp_path), **PARAMETERS)
    _ = lab.experiment.features
    lab.say("Done.") if show == "say" else lab.figure(plt.figure(), "one", "Nothing.")
    noted = json.loads((tmp_path / "run" / "parts" / "01_some" / "stages.json").read_text())
    assert [stage["stage"] for stage in noted] == ["fragments", "features-mfcc"]
    assert not any(stage["cached"] for stage in noted)


def test_captions_are_shown_as_they_are(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(workbench, "display", lambda item, **about: shown.append(getattr(item, "data", item)))
    lab, evil = Lab("01_some", outputs=str(tmp_path), **PARAMETERS), "<img src=x onerror='alert(1)'>"
    lab.listen({evil: np.zeros(160)})
    lab.figure(plt.figure(), "one", evil)
    player, picture, caption = shown
    assert "<img" not in player + caption and picture["text/plain"] == evil
    assert all("&lt;img src=x" in text for text in (player, caption))


def test_a_figure_is_kept_in_dots_and_drawn_in_its_order_with_its_message_as_title(tmp_path, monkeypatch):
    monkeypatch.setattr(workbench, "display", lambda *items, **about: None)
    lab, figure = Lab("01_some", outputs=str(tmp_path), **PARAMETERS), plt.figure()
    figure.set_label("What it shows")
    lab.figure(plt.figure(), "second", "Nothing.", "Nothing is drawn")
    lab.figure(figure, "first", "Nothing.")
    kept = tmp_path / "run" / "figures"
    assert "What it shows" in (kept / "01_some-first.svg").read_text()
    assert "Nothing is drawn" in (kept / "01_some-second.svg").read_text()
    assert (kept / "01_some-first.png").read_bytes()[1:4] == b"PNG"
    order = json.loads((tmp_path / "run" / "parts" / "01_some" / "figures.json").read_text())
    assert order == ["01_some-second", "01_some-first"]


def test_a_seed_that_cannot_work_is_refused_at_once(tmp_path):
    with pytest.raises(UsageError, match="from 0 to 4294967"):
        Lab("01_some", outputs=str(tmp_path), **PARAMETERS | {"seed": 4_294_968})
    assert not list(tmp_path.iterdir())


def test_another_corpus_keeps_its_own_split_where_one_was_asked_for_that_divides_speakers_by_name(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(Lab, "_note", lambda self: None)
    asked = {"corpus": "librispeech", "settings": {"split": "lab41", "epochs": 3}}
    other = Lab("05_some", outputs=str(tmp_path), **PARAMETERS | asked).another("demo")
    assert other.settings.split == "proportional" and other.settings.epochs == 3
