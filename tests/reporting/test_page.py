"""The report: rendered from the records alone, complete, safe and in one file."""

import base64
import json
import re

import pandas as pd
import pytest
from report_rows import row

from mia_lib.evaluation.reading import typed
from mia_lib.evaluation.records import CIRCUMSTANCES, COLUMNS
from mia_lib.reporting.embed import FIGURES
from mia_lib.reporting.exhibits import figures
from mia_lib.reporting.headline import few_clusters
from mia_lib.reporting.measures import kind, label
from mia_lib.reporting.page import corpus_section, write_report
from mia_lib.reporting.words import written

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


ROWS = [
    row("test_accuracy", 0.931, 0.92, 0.94),
    row("train_accuracy", 0.998, 0.99, 1.0),
    row("auc", 0.61, 0.6, 0.62, "largest_posterior", "utterance"),
    row("auc", 0.7123, 0.7, 0.72, "top3_network", "utterance"),
    row("tpr_at_fpr_1e-2", 0.1512, 0.14, 0.16, "top3_network", "utterance"),
    row("auc", 0.97, 0.96, 0.98, "top3_network", "paper"),
    row("auc", 0.505, 0.49, 0.52, "top3_network", "paper", control="shuffled"),
    row("auc", 0.56, 0.53, 0.58, "top3_network", "paper", control="unexposed"),
]


def make_run(folder, rows=ROWS, corpus="demo", caption="Curves of both attacks."):
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "04_attack-roc.png").write_bytes(PNG)
    (folder / "figures" / "04_attack-roc.txt").write_text(caption)
    table = pd.DataFrame(rows, columns=[*COLUMNS, *CIRCUMSTANCES])
    table[COLUMNS].to_csv(folder / "results.csv", index=False)
    stages = [{"stage": "train", "seconds": 75.2, "cached": False}]
    run = {
        "parameters": {"corpus": corpus, "profile": "standard", "seed": 3},
        "versions": {"torch": "2.11.0"},
        "notebooks": {"04_attack": {"seconds": 80.0, "stages": stages}},
    }
    (folder / "run.json").write_text(json.dumps(run))
    write_report(folder, typed(table))
    return (folder / "index.html").read_text(encoding="utf-8")


def words(page):
    """The page's text as a reader sees it."""
    return re.sub(r"\s+", " ", re.sub(r"<(style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).replace("&nbsp;", " "))


def test_summary_tells_accuracy_strongest_attack_controls_and_synthetic_speech(tmp_path):
    text = words(make_run(tmp_path / "run"))
    assert "names the speaker of 93.1 % [92.0, 94.0] of test fragments (99.8 % in training)" in text
    assert (
        "AUC 0.712 [0.700, 0.720] under protocol utterance (top-3 network, the largest of 2), above chance; 0.970"
        in text
    )
    assert "above chance. The largest of several, picked on the data that reports it, is optimistic." in text
    assert "utterance top-3 network 0.712 [0.700, 0.720] 15.1 % [14.0, 16.0]" in text
    assert "1 of 2 negative controls lies outside its chance, where about 0.1 are expected by luck." in text
    assert "The voices are synthetic." in text


def test_real_speech_is_not_called_synthetic(tmp_path):
    rows = [line | {"corpus": "folder:/somewhere/voices"} for line in ROWS]
    text = words(make_run(tmp_path / "run", rows, corpus="folder:/somewhere/voices"))
    assert "ynthetic" not in text and "On folder:voices, the model" in text


def test_every_protocol_has_a_table_of_its_attacks(tmp_path):
    section = corpus_section("demo", typed(pd.DataFrame(ROWS)))
    assert [table["protocol"] for table in section["protocols"]] == ["utterance", "paper"]
    strongest, other = section["protocols"][0]["rows"]
    assert (strongest["attack"], other["attack"]) == ("top-3 network", "largest posterior")
    assert [cell and cell["value"] for cell in strongest["cells"]] == ["0.712", "15.1 %", None, None]
    assert [cell and cell["value"] for cell in other["cells"]] == [
        "0.610",
        None,
        None,
        None,
    ]  # no other attack's number
    assert strongest["n"] == "2,400"


def test_what_an_attack_proves_alone_does_not_make_a_defense_judged():
    bound = row("epsilon_lower_bound", 1.2, 1.2, float("inf"), "lira_online", "utterance")
    rows = pd.DataFrame([*ROWS, bound | {"defense": "dp_sgd:8", "adaptive": True}])
    assert corpus_section("demo", typed(rows))["defenses"] == []


def test_controls_follow_the_order_of_the_protocols_and_certain_rates_keep_their_interval():
    rows = [
        row("auc", 0.5, 0.4, 0.6, "top3_network", name, control="shuffled")
        for name in ("paper", "utterance", "speaker")
    ]
    section = corpus_section(
        "demo", typed(pd.DataFrame([*rows, row("recall", 1.0, 1.0, 1.0, "top3_network", "paper")]))
    )
    assert [line["protocol"] for line in section["controls"]] == ["utterance", "speaker", "paper"]
    assert section["protocols"][0]["others"][0][1]["interval"] == "[100.0, 100.0]"


def test_metric_of_a_condition_is_named_after_both():
    assert label(row("test_accuracy", 0.9, condition="room_rm1")) == "Test accuracy, room rm1"
    assert label(row("something_else", 1.0)) == "something else"
    person = row("auc", 0.5, enrolment=5, control="unexposed")
    assert label(person) == "AUC, 5 recordings of each person, model that saw none of the data"
    assert label(row("auc", 0.5, references=4)) == "AUC, 4 reference models"
    assert label(row("auc", 0.5, queries=1)) == "AUC, 1 query"


def test_controls_are_judged_by_whether_the_interval_holds_one_half():
    section = corpus_section(
        "demo", typed(pd.DataFrame([*ROWS, row("auc", 0.5, None, None, "top3_network", "paper", control="new")]))
    )
    assert [one["verdict"] for one in section["controls"]] == ["not chance", "no interval", "chance"]


def test_two_corpora_are_kept_apart(tmp_path):
    far = [line | {"corpus": "demo-farfield", "value": line["value"] - 0.1} for line in ROWS]
    text = words(make_run(tmp_path / "run", ROWS + far))
    assert "On demo, the model names the speaker of 93.1" in text
    assert "On demo-farfield, the model names the speaker of 83.1" in text


def test_everything_is_escaped(tmp_path):
    evil = "<script>alert('x')</script>\"&"
    rows = [line | {"corpus": evil, "attack": evil, "protocol": evil} for line in ROWS]
    page = make_run(tmp_path / "run", [*ROWS, *rows], corpus=evil, caption=evil)
    assert "<script" not in page and "&lt;script&gt;" in page


def test_page_needs_nothing_but_itself_and_links_to_the_notebooks(tmp_path):
    page = make_run(tmp_path / "run")
    assert "data:image/png;base64," + base64.b64encode(PNG).decode() in page
    assert not re.search(r"(src|href)=.?http", page) and "<script" not in page and "<link" not in page
    links = set(re.findall(r' href="([^"]*)"', page))
    assert {link for link in links if link[0] != "#"} == {"04_attack.ipynb", "results.csv", "run.json"}
    assert {link[1:] for link in links if link[0] == "#"} <= set(re.findall(r' id="([^"]*)"', page))
    assert (
        "1 min 20 s" in page and "train 1 min 15 s" in page and "2.11.0" in page and "Curves of both attacks." in page
    )


def test_failed_notebook_is_named(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "05_far.failed.ipynb").write_text("{}")
    assert "05_far failed" in words(make_run(tmp_path / "run"))


def test_run_without_numbers_still_has_a_page(tmp_path):
    write_report(tmp_path)
    assert "No numbers have been measured yet" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [
        ("recall", 0.99951, "100.0 %"),
        ("test_accuracy", 0.5, "50.0 %"),
        ("tpr_at_fpr_1e-3", 0.0123, "1.2 %"),
        ("auc", 0.49996, "0.500"),
        ("train_seconds", 75.25, "1 min 15 s"),
        ("something_else", 1234.5, "1,234"),
        ("auc", float("nan"), "–"),
    ],
)
def test_numbers_are_rounded_as_people_read_them(measure, value, text):
    assert written(value, kind(measure)).replace("\u00a0", " ") == text


def test_a_results_file_of_an_older_run_is_shown_by_its_plain_names(tmp_path):
    make_run(tmp_path / "run")
    write_report(tmp_path / "run")
    text = words((tmp_path / "run" / "index.html").read_text())
    assert "names the speaker of 93.1 %" in text and "auc control shuffled" in text


def test_figures_are_those_of_the_notebooks_that_the_run_names(tmp_path):
    folder = tmp_path / "run"
    make_run(folder)
    for name in ("04_attack_more-roc", "05_other-roc"):
        (folder / "figures" / f"{name}.png").write_bytes(PNG)
    assert [len(part["figures"]) for part in figures(folder, ["04_attack", "03_none"])] == [1]


def test_figures_stand_in_the_order_in_which_they_were_shown_and_are_drawn_where_they_can_be(tmp_path):
    folder = tmp_path / "run"
    make_run(folder)
    (folder / "figures" / "04_attack-first.png").write_bytes(PNG)
    (folder / "figures" / "04_attack-roc.svg").write_text("<svg width='1'></svg>")
    (folder / "parts" / "04_attack").mkdir(parents=True)
    (folder / "parts" / "04_attack" / FIGURES).write_text('["04_attack-roc", "04_attack-gone"]')
    shown = figures(folder, ["04_attack"])[0]["figures"]
    assert [figure["caption"] for figure in shown] == ["Curves of both attacks.", "04_attack-first"]
    assert "<svg" in shown[0]["picture"] and "<img" in shown[1]["picture"]


def test_no_folder_of_the_machine_is_shown_and_the_command_makes_the_run_again(tmp_path):
    folder = tmp_path / "run"
    make_run(folder)
    run = json.loads((folder / "run.json").read_text())
    run["parameters"] |= {"corpus": "folder:/home/me/voices", "outputs": "/home/me/outputs", "settings": {"epochs": 3}}
    run["notebooks"]["04_attack"]["finished"] = "2026-11-28T21:00:00+00:00"
    (folder / "run.json").write_text(json.dumps(run))
    write_report(folder)
    text = words((folder / "index.html").read_text())
    assert "/home/me" not in text and "2026-11-28" in text
    assert "python -m mia_lib run --corpus folder:voices --profile standard --seed 3 --set epochs=3" in text


def test_audit_sets_with_few_speakers_are_called_thin():
    rows = pd.DataFrame(
        {"measure": ["audit_units"] * 3, "protocol": ["paper", "utterance", "speaker"], "value": [4, 90, 10]}
    )
    assert few_clusters(rows) == [
        "Too few to trust the intervals of protocol paper (4): they are drawn from fewer than 10 speakers on one side."
    ]
    assert few_clusters(rows[rows["value"] > 4]) == []


def test_claims_of_single_defenses_are_folded_away_below_the_others(tmp_path):
    decided = dict(outcome="holds", one=0.6, other=0.5, difference=0.1, low=0.05, high=0.15)
    sides = {f"{side}_{end}": decided[side] for side in ("one", "other") for end in ("low", "high")}
    about = [("00.paper", "The attack is right."), ("07.costs", "`top_k:3` costs nothing.")]
    (tmp_path / "run.json").write_text("{}")
    table = typed(pd.DataFrame(ROWS, columns=[*COLUMNS, *CIRCUMSTANCES]))
    write_report(tmp_path, table, pd.DataFrame([decided | sides | dict(claim=c, question=q) for c, q in about]))
    shown, folded = (tmp_path / "index.html").read_text(encoding="utf-8").split("Claims of single defenses", 1)
    assert "The attack is right." in shown and "top_k:3 costs" not in shown and "top_k:3 costs" in folded
