"""The claims of the series: each belongs to its notebook, is stated there and decided there."""

import json
import re

import pandas as pd
import pytest

from mia_lib.evaluation.claims import CLAIM_COLUMNS, Claim, Pick, decide
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import Result, results_table
from mia_lib.reporting.page import claim_table
from mia_lib.series import lab as workbench
from mia_lib.series.claims import CLAIMS, claim_of, claims_of_defense
from mia_lib.series.lab import Lab
from mia_lib.series.notebooks import NOTEBOOKS, find_notebooks
from mia_lib.series.provenance import merge_claims
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import UsageError


def code_of(number):
    (notebook,) = [one for one in find_notebooks(NOTEBOOKS) if one.number == number]
    return "".join("".join(cell["source"]) for cell in notebook.content["cells"] if cell["cell_type"] == "code")


def test_every_claim_is_decided_in_the_notebook_whose_number_it_bears():
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert f'"{claim.id}"' in code_of(int(claim.id[:2])), claim.id


def test_what_notebooks_decide_or_believe_exists():
    for notebook in find_notebooks(NOTEBOOKS):
        for called in re.findall(r'lab\.(?:claim|believe)\("([^"]+)"', code_of(notebook.number)):
            assert claim_of(called).question
    with pytest.raises(UsageError, match=r"unknown claim '99\.none'"):
        claim_of("99.none")


def test_near_and_far_are_filled_in():
    claim = claim_of("05.accuracy", near="demo", far="voices:devkit")
    assert (claim.one.corpus, claim.other.corpus) == ("voices:devkit", "demo")
    assert claim_of("00.paper", near="demo").other == 0.5


def test_a_defense_is_claimed_to_protect_to_cost_little_and_of_the_papers_own_to_hide():
    identity = dict(corpus="demo", profile="smoke", seed=0, defense="mixup")
    targets = results_table(identity | dict(protocol="", attack="none", adaptive=False),
                            [Result("test_accuracy_change", Measure(-0.01, -0.02, 0.0, 9))])  # fmt: skip
    strongest = results_table(identity | dict(protocol="utterance", attack="strongest", adaptive=True),
                              [Result("strongest_auc", Measure(0.8, 0.7, 0.9, 9)),
                               Result("strongest_auc_change", Measure(-0.1, -0.15, -0.05, 9))])  # fmt: skip
    records = pd.concat([targets, strongest])
    words = {claim.id: decide(claim, records).word for claim in claims_of_defense("08", "mixup", False)}
    assert words == {"08.mixup.protects": "holds", "08.mixup.hidden": "does not hold", "08.mixup.cheap": "holds"}
    assert claims_of_defense("08", "weight_decay:0.1", True)[0].id == "08.weight_decay:0.1.hides"


def test_a_claim_is_shown_kept_and_merged_for_the_report(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(workbench, "display", lambda *items: shown.extend(item.data for item in items))
    monkeypatch.setattr(Lab, "_note", lambda self: None)
    lab = Lab("00_some", corpus="demo:24x10", profile="smoke", seed=3, outputs=str(tmp_path), run_id="run")
    identity = dict(corpus="demo:24x10", profile="smoke", seed=3, protocol="paper", defense="none", adaptive=False)
    lab.record(
        results_table(
            identity | dict(attack="top3_network"), [Result("balanced_accuracy", Measure(0.9, 0.8, 0.95, 99))]
        )
    )
    lab.believe("00.paper")
    lab.claim("00.paper")
    lab.claim("00.persons")
    assert shown[0].startswith("*Belief:* The paper's attack") and shown[1].startswith("**Holds:** The paper's attack")
    assert shown[2].endswith("(not measured)")
    table = merge_claims(tmp_path / "run", ["00_some"])
    assert list(table.columns) == CLAIM_COLUMNS and table["outcome"].tolist() == ["holds", "undecided"]
    rows = claim_table(table)
    assert rows[0]["one"] == "0.900 [0.800, 0.950]" and rows[0]["other"] == "0.5" and rows[1]["difference"] == "–"
    assert json.dumps(rows)
    Lab("00_some", corpus="demo:24x10", profile="smoke", seed=3, outputs=str(tmp_path), run_id="run")
    assert merge_claims(tmp_path / "run", ["00_some"]).empty  # begun again: nothing is decided yet


@pytest.fixture(scope="module", params=["demo:24x10", "demo-farfield:24x10"])
def three_seeds(request, tmp_path_factory):
    """Records of small targets, of one corpus and three seeds."""
    small = dict(max_speakers=0, max_utterances=0, epochs=15, shadow_epochs=15, n_shadows=2, bootstrap=200, repeats=2)
    outputs = tmp_path_factory.mktemp("outputs")
    studies = [ShadowStudy(Dataset(request.param, "smoke", seed, "cpu", outputs, settings=small)) for seed in range(3)]
    return [study.records() for study in studies]


def test_claims_on_two_corpora_and_three_seeds_contradict_neither_the_numbers_nor_the_controls(three_seeds):
    words = [
        [decide(claim_of(name), records).word for records in three_seeds] for name in ("00.paper", "02.gap", "04.floor")
    ]
    assert all("does not hold" not in of_claim for of_claim in words) and words[0].count("holds") >= 1
    for records in three_seeds:
        control = Claim("99.control", "A model that saw nobody tells members.",
                        Pick("auc", "top3_network", "utterance", control="unexposed"), 0.5)  # fmt: skip
        assert decide(control, records).word != "holds"
        for claim in CLAIMS:
            outcome = decide(claim, records)
            if outcome.gap is not None and outcome.word == "holds" and claim.direction == "above":
                assert outcome.gap.value > claim.margin, claim.id
