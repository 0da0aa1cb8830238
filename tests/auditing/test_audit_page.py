"""The page of an audit: what it answers and in which order, rendered from the report alone, complete and safe."""

import dataclasses
import html
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from made_up import save, signals
from pages import ATTACKS, HOSTILE, of_persons, with_sound

from mia_lib import cli
from mia_lib.auditing.columns import evidence_of
from mia_lib.auditing.curves import SIZE, across, down, steps
from mia_lib.auditing.remedies import COMPARED, NOTEBOOKS, defenses_by_notebook
from mia_lib.auditing.report import FILES, judge
from mia_lib.defenses.base import DEFENSES, FAMILIES
from mia_lib.evaluation.audit import Audit

SECTIONS = ["audited", "trust", "proof", "exposed", "remedies", "method"]


def page(evidence, folder, **options):
    report = judge(evidence, **dict(draws=20, attacks=ATTACKS) | options)
    return (report.save(folder) / "index.html").read_text(encoding="utf-8"), report


def words(text):
    """What a reader sees of some HTML."""
    plain = re.sub(r"<(style|svg).*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(plain))


def section(text, name):
    """One section of the page, as a reader sees it."""
    return words(re.split(r'<h2 id="', text.partition(f'<h2 id="{name}"')[2])[0].partition(">")[2])


@pytest.fixture(scope="module")
def confounded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("confounded")
    return page(with_sound(folder, confounded=True), folder / "outputs" / "a")


@pytest.fixture(scope="module")
def persons(tmp_path_factory):
    return page(of_persons(), tmp_path_factory.mktemp("persons") / "a", attacks=["mean_cosine", "speaker_similarity"])


def test_the_sections_stand_in_their_order_and_in_the_contents(confounded):
    text, _ = confounded
    assert re.findall(r'<h2 id="(\w+)"', text) == SECTIONS
    assert re.findall(r'<li><a href="#(\w+)"', text) == SECTIONS


def test_the_findings_come_first_and_a_blind_baseline_above_chance_before_all(confounded):
    text, report = confounded
    top = words(text.partition("<nav")[0])
    places = [top.index(re.sub(r"\s+", " ", sentence)) for sentence in report.about["findings"]]
    assert places == sorted(places) and "can be told apart without asking the model" in report.about["findings"][0]
    assert section(text, "trust").index(report.about["findings"][0]) < section(text, "trust").index(
        "the blind baseline"
    )
    assert "choose non-members that were recorded as the members were" in section(text, "remedies")


def test_each_attack_stands_beside_the_blind_baseline_and_its_controls(confounded):
    text, report = confounded
    rows = re.findall(r"<tr.*?</tr>", text.partition('id="trust"')[2].partition("</table>")[0], flags=re.DOTALL)
    told = [words(row) for row in rows]
    assert "the blind baseline" in told[1] and len(told) == 2 + len(ATTACKS)
    for attack in ATTACKS:
        (row,) = [row for row in told if f" {attack} " in row]
        auc = report.about["attacks"][attack]["auc"]["value"]
        assert f"{auc:.3f}" in row and "the blind one" in row and "chance" in row


def test_without_statistics_of_the_sound_no_number_is_beside_a_blind_one(tmp_path):
    text, _ = page(evidence_of(signals(), "mine"), tmp_path / "a")
    told = section(text, "trust")
    assert "No blind baseline could be made" in told and "above the blind baseline" not in told
    assert "The sound was not heard" in told
    assert "Give statistics of the sound" in section(text, "remedies")


def test_rates_that_too_few_nonmembers_can_show_are_not_printed(confounded):
    text, report = confounded
    others = report.about["audited"]["non_members"]["rows"]
    assert others < 100 and f"not measurable below 1 in {others}" in section(text, "proof")
    assert section(text, "proof").count("Members found at") == 2  # of the strongest; attacks have no such columns
    assert f"With {others} non-members nothing below {100 / others:.1f} % false alarms can be seen." in words(text)
    assert not re.search(r"\d %.* at 1 %", re.search(r'aria-label="(ROC[^"]*)"', text)[1])


def test_an_attack_that_is_the_strongest_turned_round_says_so(tmp_path):
    text, report = page(evidence_of(signals(leak=-6.0), "mine"), tmp_path / "a", attacks=["loss"])
    assert report.about["attacks"]["loss"]["auc"]["value"] < 0.5
    assert f"{report.about['strongest']['auc']['value']:.3f}" in section(text, "proof")
    assert "loss, worse than chance: turned round" in section(text, "proof")
    assert report.about["strongest"]["auc"]["turned_round"] is True
    assert "The strongest" not in " ".join(report.about["findings"])
    assert "loss, whose scores are worse than chance (AUC 0.0" in " ".join(report.about["findings"])


def test_names_that_look_like_markup_are_shown_as_text(confounded):
    text, _ = confounded
    assert (
        html.escape(HOSTILE, quote=False)[:20] in text
        and "<script" not in text
        and "<img" not in text
        and "<b>" not in text
    )
    assert HOSTILE in words(text)


def test_nothing_is_asked_of_anybody_else(confounded):
    text, _ = confounded
    addresses = re.findall(r'(?:src|href|action|data|poster)="([^"]*)"|url\(([^)]*)\)|@import', text)
    local = {"results.csv", "people.csv", "recordings.csv", "audit.json"} | {f"#{name}" for name in SECTIONS}
    assert {one for pair in addresses for one in pair if one and not one.startswith("data:audio/flac;")} <= local


def test_the_most_exposed_can_be_heard_unless_that_is_not_wanted(confounded, tmp_path):
    text, report = confounded
    assert text.count("<audio ") == 10 and "can be heard, 3 seconds each" in words(text)
    silent, _ = page(with_sound(tmp_path / "sound", confounded=True), tmp_path / "a", audio=False)
    assert "<audio " not in silent and "can be heard" not in silent
    shutil.rmtree(tmp_path / "sound")
    gone = dataclasses.replace(report, evidence=dataclasses.replace(report.evidence))
    gone.recordings["sound"] = [str(tmp_path / "sound" / "none.wav")] * len(gone.recordings)
    assert "<audio " not in (gone.save(tmp_path / "b") / "index.html").read_text(encoding="utf-8")


def test_anonymous_pages_name_nobody_and_play_nothing(tmp_path):
    lost = pd.DataFrame(dict(path=["in/Zoe/1.wav"], reason=["in/Zoe/1.wav: not audio that can be decoded"]))
    evidence = dataclasses.replace(with_sound(tmp_path / "Zoe"), lost=lost, name="mine")
    text, _ = page(evidence, tmp_path / "a", anonymous=True, command="python -m mia_lib audit --members Zoe")
    assert "speaker 03" in text and "<audio " not in text
    assert not any(name in text for name in ("Zoe", "s00", "r000", "hacked"))


def test_persons_are_judged_apart_and_ranked_among_persons(persons):
    text, report = persons
    told = section(text, "proof")
    assert "Persons, judged by all of their recordings" in told and "single recording" not in told
    assert "With 12 non-members nothing below 8.3 %" in words(text) and "not measurable below 1 in 12" in told
    assert "Only persons were judged" in section(text, "exposed")
    first = report.people[report.people["member"] == 1].iloc[0]
    audit = max(report.trials, key=lambda one: one.attack == report.about["strongest"]["auc"]["attack"]).found.audit
    own = audit.scores[report.evidence.speaker[audit.rows] == first["speaker"]]
    assert first["exposure"] == np.mean(audit.scores[~audit.member] < own)
    assert report.recordings.groupby("speaker")["exposure"].nunique().eq(1).all()


def test_attacks_on_single_recordings_of_persons_stand_apart_from_those_on_persons(tmp_path):
    arrays = signals(speakers=20)
    evidence = evidence_of(arrays | dict(member=(arrays["label"] % 2).astype(int)), "mine", "speaker")
    text, _ = page(evidence, tmp_path / "a", attacks=["loss", "mean_posterior"])
    single, whole = re.split("Persons, judged by all of their recordings", section(text, "proof"))
    assert "Persons, judged by a single recording" in single and "loss" in single and "mean_posterior" in whole
    assert text.count('role="img"') == 2


def test_coins_bound_epsilon_and_without_them_nothing_is_said_of_it(tmp_path):
    text, report = page(evidence_of(signals(leak=6.0) | dict(coins=True), "mine"), tmp_path / "a", attacks=["loss"])
    best = report.results[report.results["metric"] == "epsilon_tight"]["value"].max()
    assert f"{best:.2f}" in section(text, "proof").partition("Differential privacy")[2]
    assert "Differential privacy" not in section(page(evidence_of(signals(), "mine"), tmp_path / "b")[0], "proof")


def test_what_attacks_lack_that_were_not_run_is_said(tmp_path):
    text, report = page(evidence_of(signals(), "mine"), tmp_path / "a", attacks=["loss", "lira_online", "mean_cosine"])
    told = section(text, "method")
    assert set(report.about["not_run"]) == {"lira_online", "mean_cosine"}
    assert all(f"{why} {name}" in told for name, why in report.about["not_run"].items())


def test_recordings_that_were_left_out_are_listed_with_the_reason(tmp_path):
    lost = pd.DataFrame(dict(path=["in/<i>.wav"], reason=["in/<i>.wav: the file is empty"]))
    text, _ = page(dataclasses.replace(with_sound(tmp_path / "s"), lost=lost, found=121), tmp_path / "a")
    assert "1 recording left out, and why" in words(text) and "in/<i>.wav the file is empty" in words(text)
    assert "1 of 121 recordings" in section(text, "audited")


def test_the_page_says_how_to_do_it_again(tmp_path, capsys):
    saved = save(tmp_path / "mi ne.npz", signals())
    argv = ["audit", "--signals", str(saved), "--outputs", str(tmp_path), "--run-id", "a", "--fail-if", "auc > 0.99"]
    assert cli.main(argv) == 0
    text, command = (tmp_path / "a/index.html").read_text(encoding="utf-8"), f"--signals '{saved}'"
    about = json.loads((tmp_path / "a/audit.json").read_text(encoding="utf-8"))
    assert about["command"].startswith("python -m mia_lib audit") and command in about["command"]
    assert about["command"] in words(text) and about["data_hash"] in text
    assert "Gate: auc > 0.99 does not hold." in words(text)


def test_the_page_is_there_before_the_file_that_says_that_the_audit_is_complete(tmp_path, monkeypatch):
    from mia_lib.auditing import report as module

    written = []
    monkeypatch.setattr(module, "write_atomically", lambda path, text: written.append(path.name))
    judge(evidence_of(signals(), "mine"), draws=20, attacks=["loss"]).save(tmp_path / "a")
    assert set(written) == set(FILES) and written[-1] == FILES[-1] == "audit.json"


def test_defenses_are_named_with_the_notebooks_that_measure_them(confounded):
    text, _ = confounded
    assert tuple(NOTEBOOKS) == FAMILIES
    assert {name for row in defenses_by_notebook() for name in row["names"]} == {
        name for name in DEFENSES.names() if DEFENSES.get(name).family
    }
    told = section(text, "remedies")
    assert all(name in told for name in (*NOTEBOOKS.values(), COMPARED, *DEFENSES.names()[:3]))
    assert "none has been run beside this audit" in told and "--only 07,08,09,10,11,12" in told


def test_a_picture_has_logarithmic_axes_and_starts_where_nonmembers_can_be_seen():
    assert across(1e-3) == across(1e-5) == across(1) - SIZE and down(1e-3) == down(1) + SIZE
    assert across(1e-2) - across(1e-3) == pytest.approx(SIZE / 3, abs=0.1)
    member = np.repeat([True, False], 10)
    audit = Audit(np.where(member, 1.0, 0.0), member, np.arange(20).astype(str), 0.5, np.arange(20))
    assert steps(audit).startswith(f"M{across(0.1)} {down(1)}H") and steps(audit).endswith(f"H{across(1)}V{down(1)}")
