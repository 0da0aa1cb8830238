"""The quiz takes its answers from a run, and tells what a run cannot answer."""

from pathlib import Path

import pandas as pd
import pytest

from mia_lib.cli import main
from mia_lib.course.quiz import Question, _records, asked, questions, records, right, truth
from mia_lib.evaluation.records import COLUMNS
from mia_lib.support.errors import UsageError

REFERENCES = sorted((Path(__file__).parents[2] / "outputs" / "reference").glob("*-s0*"))
ROWS = [
    ("", "none", "none", "train_accuracy", 1.0, 0.99, 1.0),
    ("", "none", "none", "test_accuracy", 0.9, 0.85, 0.95),
    ("", "weight_decay:0.1", "none", "test_accuracy_change", -0.02, -0.04, 0.0),
    ("", "dp_sgd:8", "none", "test_accuracy_change", -0.5, -0.6, -0.4),
    ("utterance", "none", "lira_online", "auc", 0.8, 0.7, 0.9),
]


@pytest.fixture
def run(tmp_path):
    keys = ("protocol", "defense", "attack", "metric", "value", "low", "high")
    usual = dict.fromkeys(COLUMNS, "") | {"corpus": "demo", "adaptive": False}
    table = pd.DataFrame([usual | dict(zip(keys, row, strict=True)) for row in ROWS])
    table.to_csv(tmp_path / "results.csv", index=False)
    return tmp_path


def test_every_part_has_five_to_eight_questions_of_known_kinds(run):
    known = {"number", "difference", "largest", "smallest", "above"}
    for part in "1234":
        found = questions(part)
        assert 5 <= len(found) <= 8 and {question.kind for question in found} <= known
        assert all(question.why and question.id.startswith(f"{part}.") for question in found)
    ids = [question.id for question in questions()]
    assert len(set(ids)) == len(ids) and [line.split()[0] for line in asked(run)[: len(ids)]] == ids


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda folder: folder.name)
def test_a_committed_run_answers_every_question_by_one_record(reference):
    table = records(reference)
    for question in questions():
        assert truth(question, table) is not None, question.id
        if question.kind not in ("largest", "smallest"):
            assert all(len(_records(table, row)) == 1 for row in (question.row, question.other) if row), question.id


def test_records_of_another_corpus_are_no_answers(run):
    table = pd.read_csv(run / "results.csv", keep_default_na=False)
    far = table[table["metric"] == "train_accuracy"].assign(corpus="demo-farfield", value=0.3)
    pd.concat([far, table]).to_csv(run / "results.csv", index=False)
    assert truth(questions("1")[0], records(run)) == pytest.approx(0.1)


def test_a_run_that_lacks_notebooks_is_said_to(run):
    assert asked(run, "1")[-1] == (
        f"{run} cannot tell 1.2, 1.3, 1.4, 1.5: they need notebooks 01, 02, "
        "or, if those were run, defenses that this run did not choose."
    )
    with pytest.raises(UsageError, match="holds no results"):
        asked(run / "none")


def test_answers_are_looked_up(run):
    table = pd.read_csv(run / "results.csv", keep_default_na=False)
    ask = {question.id: question for question in questions()}
    assert truth(ask["1.1"], table) == pytest.approx(0.1)
    assert truth(ask["3.4"], table) == ("dp_sgd:8",)
    assert truth(ask["2.1"], table) is None and truth(ask["4.1"], table) is None
    row = {"protocol": "utterance", "attack": "lira_online", "metric": "auc"}
    for level, answer in ((0.5, "yes"), (0.7, "no")):
        assert truth(Question("1", "01", "x", "", "above", row, "", level=level), table) == answer


def test_names_that_are_not_told_from_the_best_are_right_too(run):
    table = pd.read_csv(run / "results.csv", keep_default_na=False)
    costs = table["metric"] == "test_accuracy_change"
    near = table[costs & (table["defense"] == "dp_sgd:8")].assign(
        defense="distillation:50", value=-0.45, low=-0.55, high=-0.4
    )
    answer = truth(next(q for q in questions() if q.id == "3.4"), pd.concat([near, table]))
    assert answer == ("dp_sgd:8", "distillation:50")
    assert all(right(name, answer) for name in ("dp_sgd", "distillation:50")) and not right("weight_decay", answer)


def test_no_question_asks_for_what_a_clock_says():
    for question in questions():
        assert not any("seconds" in row["metric"] for row in (question.row, question.other) if row), question.id


def test_a_defense_without_a_strength_stands_for_any_but_for_no_combination():
    results = pd.DataFrame({"defense": ["selena:4+hamp_output", "selena:4", "selena_two:4", "none"], "metric": "auc"})
    results = results.assign(protocol="", attack="none", adaptive=False)
    assert _records(results, {"defense": "selena", "metric": "auc"})["defense"].tolist() == ["selena:4"]


def test_numbers_may_be_rounded_and_defenses_named_without_strength():
    assert right("0.86", 0.8559) and right("0,86", 0.8559) and not right("0.87", 0.8559) and not right("many", 0.8)
    assert right("36.9", 36.862) and right("220", 220.57) and not right("37.4", 36.862) and not right("0.06", 0.049)
    assert right("75.3 %", 0.753) and right("75,3%", 0.753) and not right("0.753 %", 0.753)
    assert right("DP_SGD", "dp_sgd:8") and right(" dp_sgd:8 ", "dp_sgd:8") and not right("8", "dp_sgd:8")


def test_a_table_of_answers_is_checked(run, tmp_path, capsys):
    answers = tmp_path / "mine.csv"
    answers.write_text("question,answer\n1.1,0.1\n3.4,weight_decay\n", encoding="utf-8")
    assert main(["course", "quiz", str(run), "--answers", str(answers)]) == 0
    said = capsys.readouterr().out
    assert "1.1  right. This gap" in said and "3.4  look again" in said
    assert "2.1  this run cannot tell: run notebooks 04, 06" in said and "1 of 2 right" in said
    answers.write_text(
        "\ufeffquestion;answer\n1.1;0,1\n", encoding="utf-8"
    )  # as spreadsheets write where commas are decimal
    assert main(["course", "quiz", str(run), "--answers", str(answers)]) == 0
    assert "1.1  right." in capsys.readouterr().out
    (tmp_path / "class").mkdir()
    for name, given in (("Ada", "1.1,0.1\n3.4,dp_sgd"), ("Zoë", "1.1,0.3")):
        (tmp_path / "class" / f"{name}.csv").write_text(f"question,answer\n{given}\n", encoding="utf-8")
    assert main(["course", "quiz", str(run), "--answers", str(tmp_path / "class")]) == 0
    assert capsys.readouterr().out.splitlines() == ["Ada: 2 of 2 right", "Zoë: 0 of 2 right"]
    (tmp_path / "class" / "Bob.csv").write_text("number,answer\n1.1,0.1\n", encoding="utf-8")
    assert main(["course", "quiz", str(run), "--answers", str(tmp_path / "class")]) == 1
    told = capsys.readouterr()
    bad = "Bob: not counted: Bob.csv needs the columns question and answer"
    assert told.out.splitlines() == ["Ada: 2 of 2 right", bad, "Zoë: 0 of 2 right"]
    assert "1 of 3 tables could not be counted: Bob.csv" in told.err
    answers.write_text("question,answer\n9.9,1\n", encoding="utf-8")
    assert main(["course", "quiz", str(run), "--answers", str(answers)]) == 1
    assert "there is no question '9.9'" in capsys.readouterr().err
    answers.write_text("question,answer\n1.1,0,1\n", encoding="utf-8")
    assert main(["course", "quiz", str(run), "--answers", str(answers)]) == 1
    assert "rows have more cells than the header line" in capsys.readouterr().err
    assert main(["course", "quiz", str(tmp_path / "none"), "--answers", str(answers)]) == 2
    assert main(["course", "quiz", str(run), "--part", "7"]) == 2
    assert "1 data and model" in capsys.readouterr().err
