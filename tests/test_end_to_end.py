"""The series itself, through the command line, on a VOiCES tree with its published names and index columns."""

import json

import pandas as pd
from corpora.trees import voices_tree

from mia_lib import cli
from mia_lib.evaluation.records import COLUMNS
from mia_lib.series.notebooks import find_notebooks


def test_all_notebooks_complete_on_a_voices_tree(tmp_path, capfd):
    root, outputs = voices_tree(tmp_path / "data", speakers=12, segments=5), tmp_path / "outputs"
    command = ["run", "--corpus", "voices:devkit", "--data-root", str(root), "--outputs", str(outputs)]
    command += ["--profile", "smoke", "--run-id", "voices", "--set", "epochs=1", "shadow_epochs=1", "bootstrap=20"]
    command += ["query_fragments=100", "defense_references=3", "defense_speakers=8"]
    command += ["public_speakers=8", "public_utterances=4"]
    assert cli.main(command) == 0, capfd.readouterr()
    run = outputs / "voices"
    results = pd.read_csv(run / "results.csv")
    assert list(results.columns) == COLUMNS and set(results["corpus"]) == {"voices:devkit", "demo"}
    assert {f"test_accuracy_room_{room}" for room in ("rm1", "rm3")} <= set(results["metric"])
    shown = results[results["low"].notna()]  # what so few non-members cannot show has no interval
    assert results["value"].notna().all() and (shown["low"] <= shown["high"]).all() and len(shown) > 0.6 * len(results)
    assert len(list(run.glob("??_*.ipynb"))) == len(find_notebooks()) and not list(run.glob("*.failed.ipynb"))
    pictures = {p.stem for p in (run / "figures").glob("*.png")}
    expected = ("00_start_here-main_result", "04_membership_attack-roc", "05_far_field_speech-near_far")
    assert {*expected, "06_stronger_attacks-roc", "12_comparison-plane"} <= pictures
    assert json.loads((run / "run.json").read_text())["parameters"]["corpus"] == "voices:devkit"
    assert "voices:devkit" in (run / "index.html").read_text()
    capfd.readouterr()
    assert cli.main(command) == 0
    assert capfd.readouterr().out.count("done before") == len(find_notebooks())
