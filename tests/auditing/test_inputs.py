"""`mia-lib audit` of a model, of a recipe and of coins: what is written, what is said, and what is refused."""

import functools
import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
from voices import folder

from mia_lib import cli
from mia_lib.auditing import recipe, report


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Members and non-members of the same four speakers."""
    root = tmp_path_factory.mktemp("data")
    return folder(root / "in", range(4), range(5), 0.6), folder(root / "out", range(4), range(5, 10), 0.6)


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Few draws of the bootstrap, and a folder of its own."""
    monkeypatch.setattr(report, "judge", functools.partial(report.judge, draws=20))
    monkeypatch.setattr(recipe, "cores", lambda: 1)
    monkeypatch.chdir(tmp_path)


def audit(words, data=("in", "out")):
    return cli.main(["audit", *shlex.split(words.format(*data)), "--debug"])


def test_a_model_and_two_folders_become_a_report(data, tmp_path, capsys):
    strangers = folder(tmp_path / "strangers", range(4, 8), range(5), 0.6)
    words = "--model faulty:chatters --members {} --non-members {} --seconds 0 --run-id mine"
    assert audit(words, (data[0], strangers)) == 0
    said = capsys.readouterr().out
    assert "taken for embeddings, since no classes were named" in said and "protocol speaker" in said
    about = json.loads(Path("outputs/mine/audit.json").read_text())
    assert about["audited"]["members"]["recordings"] == 20 and "mean_cosine" in about["attacks"]


def test_embeddings_of_the_same_speakers_are_refused_with_the_reason(data, capsys):
    assert audit("--model faulty:chatters --members {} --non-members {}  --seconds 0", data) == 1
    assert "no speaker may be on both sides (protocol speaker)" in capsys.readouterr().err.splitlines()[-1]


def test_recordings_that_are_left_out_are_said(data, tmp_path, capsys):
    strangers = folder(tmp_path / "strangers", range(4, 8), range(5), 0.6)
    (strangers / "s4" / "0.wav").write_bytes(b"RIFF")
    assert audit("--model faulty:chatters --members {} --non-members {} --seconds 0", (data[0], strangers)) == 0
    assert "1 of 40 recordings are left out; the first is" in capsys.readouterr().out


def test_a_recipe_alone_becomes_a_report_with_bounds_of_epsilon(data, capsys):
    assert audit("--train recipes:forest --members {} --models 3 --seconds 0.5 --run-id mine", data) == 0
    results = pd.read_csv("outputs/mine/results.csv")
    assert {"lira_online", "rmia_online"} <= set(results["attack"]) and "epsilon_steinke" in set(results["metric"])
    assert len(list((Path("outputs") / "cache").glob("audited-model-*"))) == 4


def test_coins_are_drawn_and_audited_as_such(data, capsys):
    assert audit("coins --members {} --to coins.csv --seed 5", data) == 0
    assert "train on the" in capsys.readouterr().out
    assert audit("coins --members {} --to coins.csv", data) == 2
    assert audit("--model faulty:chatters --members coins.csv --coins --gives logits --seconds 0 --run-id mine") == 0
    assert "epsilon_steinke" in set(pd.read_csv("outputs/mine/results.csv")["metric"])


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("", 2, "say what to audit: --signals FILE, --model NAME or --train NAME"),
        ("--model faulty:chatters", 2, "say which recordings: --members DIR"),
        ("--model faulty:chatters --members in", 1, "there is no folder in"),
        ("--model faulty:chatters --members {0}", 2, "say --non-members too"),
        (
            "--model faulty:chatters --members {0} --non-members {1} --models 4",
            2,
            "--models are the reference models of --train",
        ),
        ("--model nothing.onnx --members {0} --non-members {1}", 2, "there is no model 'nothing.onnx'"),
        ("--model faulty:crashes --members {0} --non-members {1} --seconds 9", 1, "no member is left that can be used"),
        ("--train recipes:forest --members {0} --coins", 2, "leave --coins out"),
        (
            "--train recipes:forest --members {0} --control-model faulty:chatters",
            2,
            "--control-model goes with --model",
        ),
        ("--train recipes:forest --members {0} --non-members {1}", 2, "leave --non-members out, or say --model"),
        ("--model faulty:chatters --members {0} --non-members {1} --device gpu", 2, "unknown device 'gpu'"),
        ("--signals s.npz --members {0}", 2, "--members is about a model that is asked"),
        ("--signals s.npz --seconds 1", 2, "--seconds is about a model that is asked"),
        ("coins", 2, "audit coins --members DIR --to FILE.csv"),
        ("coins --members {0} --model x", 2, "audit coins takes --members, --to and --seed alone"),
        ("coin --members {0}", 2, "coin"),
    ],
)
def test_a_command_line_that_cannot_be_carried_out_is_one_sentence(data, capsys, tmp_path, words, status, says):
    assert audit(words, data) == status
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mia_lib: ") and says in error
    assert not (tmp_path / "outputs").exists() and not (tmp_path / "coins.csv").exists()


def test_help_fits_one_screen_and_says_whose_code_runs(capsys):
    with pytest.raises(SystemExit):
        audit("--help")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 52 and max(map(len, lines)) <= 120
    assert any("TorchScript and module:function run the code of whoever made them" in line for line in lines)
