"""A challenge: what the class gets says nothing about final, and a submission that is tuned on dev drops there."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from mia_lib.cli import main
from mia_lib.course.challenge import Scenario, answers, models_of, parts_of, publish
from mia_lib.course.command import SCENARIOS
from mia_lib.course.pages import PAGES
from mia_lib.course.scoring import score
from mia_lib.defenses.base import make_defense
from mia_lib.defenses.label_only import LabelOnly
from mia_lib.defenses.output import given_out
from mia_lib.studies.dataset import Dataset

NAME, FILE = "dp_finetune:8", "dp_finetune-8.npz"


def fabricated(seed=0, models=12, n=240):
    """Models that are a little surer of what they trained on."""
    rng = np.random.default_rng(seed)
    member = rng.random((models, n)) < 0.5
    label, logits = rng.integers(0, 5, n), rng.normal(size=(models, n, 5))
    logits[:, np.arange(n), label] += 1.5 * member + rng.normal(size=n)
    given = log_softmax(logits, axis=2).astype(np.float32)
    return Scenario(given, member, label, np.arange(n) % 20, np.arange(n) // 2)


@pytest.fixture
def challenge(tmp_path):
    publish(tmp_path / "game", {NAME: fabricated()}, "salt", {"corpus": "demo", "synthetic": True})
    return tmp_path / "game"


def submitted(folder, path, change=lambda part, scores: scores):
    """The log posterior of the true speaker as a submission, after a change."""
    tables = []
    for part in ("dev", "final"):
        data = np.load(folder / "public" / part / FILE)
        scores = change(part, data["log_posteriors"][:, np.arange(240), data["label"]])
        k, row = np.indices(scores.shape)
        tables.append(pd.DataFrame({"scenario": NAME, "part": part, "model": data["model"][k.ravel()], "row": row.ravel(),
                                    "score": scores.ravel()}))  # fmt: skip
    pd.concat(tables).sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


def test_parts_share_no_model():
    parts = parts_of(60)
    assert [len(parts[name]) for name in ("train", "dev", "final")] == [40, 10, 10]
    assert np.array_equal(np.concatenate(list(parts.values())), np.arange(60))


def test_nothing_public_tells_who_is_a_member_in_final(challenge):
    assert "member" in np.load(challenge / "public" / "dev" / FILE)
    assert "member" not in np.load(challenge / "public" / "final" / FILE)
    sealed = json.loads((challenge / "secret" / "final.json").read_text())
    truth = fabricated().member[parts_of(12)["final"]]
    assert sealed["member"][NAME] == ["".join("01"[int(m)] for m in row) for row in truth]
    public = "".join(path.read_text() for path in (challenge / "public").glob("*.*"))
    assert "salt" not in public


def test_what_is_tuned_on_dev_drops_on_final(challenge, tmp_path):
    truth = np.load(challenge / "public" / "dev" / FILE)["member"]
    score(challenge, submitted(challenge, tmp_path / "honest.csv"))
    tuned = submitted(challenge, tmp_path / "tuned.csv", lambda part, s: s + 9 * truth if part == "dev" else s)
    told = score(challenge, tuned)
    board = {
        (name, row["measure"]): row
        for name, rows in json.loads((challenge / "board.json").read_text()).items()
        for row in rows
    }
    for measure in ("tpr_at_fpr_1e-2", "balanced_accuracy"):
        honest, row = board["honest", measure], board["tuned", measure]
        assert row["dev"]["value"] > 0.99
        assert abs(honest["dev"]["value"] - honest["final"]["value"]) < 0.12
        assert row["final"]["value"] < honest["final"]["value"] + 0.05
    assert 0.6 < board["honest", "balanced_accuracy"]["final"]["value"] < 0.9
    assert any("balanced accuracy: dev 1.000" in line for line in told)
    page = (challenge / "board.html").read_text(encoding="utf-8")
    assert "honest" in page and "tuned" in page and "synthetic speech" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="score"), "lacks the column 'score'"),
        (lambda t: t.iloc[1:], "480 are needed"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "is there twice"),
        (lambda t: t.assign(scenario="none"), "no scenario 'none'"),
        (lambda t: t.assign(score=["x", *t["score"][1:]]), "row 2: score must be a finite number"),
        (lambda t: t.assign(model=t["model"] + 50), "480 are needed"),
    ],
)
def test_a_submission_that_is_wrong_is_refused_in_one_line(challenge, tmp_path, capsys, change, said):
    path = submitted(challenge, tmp_path / "mine.csv")
    change(pd.read_csv(path)).to_csv(path, index=False)
    assert main(["challenge", "score", str(challenge), str(path)]) == 1
    assert said in capsys.readouterr().err
    assert not (challenge / "board.json").exists()


def test_a_submission_with_decimal_commas_is_refused_and_not_cut(challenge, tmp_path, capsys):
    path = submitted(challenge, tmp_path / "mine.csv")
    path.write_text(path.read_text(encoding="utf-8").replace(".", ","), encoding="utf-8")
    assert main(["challenge", "score", str(challenge), str(path)]) == 1
    assert "rows have more cells than the header line" in capsys.readouterr().err


def test_answers_that_were_changed_after_the_start_are_refused(challenge, tmp_path, capsys):
    path = submitted(challenge, tmp_path / "mine.csv")
    sealed = challenge / "secret" / "final.json"
    sealed.write_text(sealed.read_text().replace("0", "1", 1))
    assert main(["challenge", "score", str(challenge), str(path)]) == 1
    assert "its digest is not the published one" in capsys.readouterr().err


def names_only(scenario):
    """The same models, which give out nothing but a name."""
    logits = scenario.log_posteriors
    return replace(
        scenario, log_posteriors=np.stack([given_out(LabelOnly().alter(z.astype(float)), z) for z in logits])
    )


def test_the_starting_notebook_makes_a_submission_of_its_own_name(tmp_path, monkeypatch):
    scenarios = {NAME: fabricated(), "label_only": names_only(fabricated(seed=1))}
    publish(tmp_path, scenarios, "salt", {"corpus": "demo", "synthetic": True})
    monkeypatch.chdir(tmp_path / "public")
    namespace: dict = {"print": lambda *a: None}
    for cell in json.loads((tmp_path / "public" / "start.ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"]).replace("your-pseudonym", "heron")
            assert len(source.splitlines()) <= 15
            exec(source, namespace)
    told = score(tmp_path, tmp_path / "public" / "heron.csv")
    assert all(any(line.startswith(f"{name}, balanced accuracy") for line in told) for name in scenarios)
    assert list(json.loads((tmp_path / "board.json").read_text())) == ["heron"]


def test_another_submission_of_a_name_on_the_board_is_refused_unless_it_is_to_replace_it(challenge, tmp_path, capsys):
    path = submitted(challenge, tmp_path / "heron.csv")
    again = ["challenge", "score", str(challenge), str(path)]
    assert main(again) == main(again) == 0
    before = (challenge / "board.json").read_bytes()
    submitted(challenge, path, lambda part, scores: -scores)
    assert main(again) == 2 and (challenge / "board.json").read_bytes() == before
    assert "heron is on the board with another submission: --replace" in capsys.readouterr().err
    assert main([*again, "--replace"]) == 0 and (challenge / "board.json").read_bytes() != before


def test_a_challenge_has_by_default_the_scenarios_that_its_pages_tell_of():
    names = [name.strip() for name in SCENARIOS.split(",")]
    page = PAGES["instructor"].read_text(encoding="utf-8")
    assert all(make_defense(name) and f"`{name}`" in page for name in names)


def test_models_that_answer_with_a_name_only_say_which_and_nothing_else(tmp_path):
    dataset = Dataset(
        "demo:8x4", "smoke", 0, "cpu", tmp_path, settings=dict(epochs=1, max_speakers=0, max_utterances=0)
    )
    given = answers(dataset, "label_only", 6, "a").log_posteriors
    named = given > np.log(0.5)
    assert (named.sum(2) == 1).all() and np.isfinite(given).all()
    assert np.allclose(given[named], 0, atol=1e-4) and np.ptp(given[~named]) < 1e-4


def test_models_are_trained_by_coins_that_the_salt_draws(tmp_path):
    dataset = Dataset(
        "demo:8x4", "smoke", 0, "cpu", tmp_path, settings=dict(epochs=1, max_speakers=0, max_utterances=0)
    )
    role = {salt: [split.role for split in models_of(dataset, "none", 6, salt).splits] for salt in "ab"}
    again = [split.role for split in models_of(dataset, "none", 6, "a").splits]
    assert np.array_equal(role["a"], again) and not np.array_equal(role["a"], role["b"])
    assert not np.array_equal(role["a"], [split.role for split in models_of(dataset, "top_k:1", 6, "a").splits])
    found = answers(dataset, "none", 6, "a")
    assert found.log_posteriors.shape[:2] == found.member.shape == (6, len(found.label))
    assert np.allclose(np.exp(found.log_posteriors).sum(2), 1, atol=1e-5)
    assert 0.2 < found.member.mean() < 0.8


def test_another_challenge_in_the_same_folder_is_refused(tmp_path, capsys):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "plan.json").write_text('{"asked": {"corpus": "demo"}, "salt": "x"}')
    assert main(["challenge", "make", str(tmp_path), "--models", "8"]) == 2
    assert "holds another challenge" in capsys.readouterr().err
    assert main(["challenge", "make", str(tmp_path / "new"), "--models", "3"]) == 2
    assert "at least 6 models" in capsys.readouterr().err
    assert main(["challenge", "make", str(tmp_path / "new"), "--scenarios", "nothing_such"]) == 2
    few = ["--corpus", "demo:2x2", "--outputs", str(tmp_path / "outputs"), "--models", "6"]
    assert main(["challenge", "make", str(tmp_path / "new"), *few]) == 1
    assert not (tmp_path / "new").exists()  # what was refused is in nobody's way
