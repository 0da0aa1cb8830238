"""Answers to altered copies, from fragment to record: asked once, through the defense, on whole recordings only."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from mia_lib.attacks.base import needs_of
from mia_lib.defenses import DEFENSES, memguard
from mia_lib.defenses.base import Defense
from mia_lib.features.compute import extract
from mia_lib.fragments.cutting import Fragments
from mia_lib.fragments.perturbations import PERTURBATIONS
from mia_lib.fragments.splits import whole_recordings
from mia_lib.signals.query import query_models
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy

SPEAKERS, SOURCES, SAMPLES = 16, 8, 9600
SMALL = dict(
    hop=128, repeats=1, n_shadows=2, n_references=4, epochs=8, shadow_epochs=8, bootstrap=20, query_fragments=120
)


def hums() -> Fragments:
    """Voices that are a tone and a speaker's own share of noise: two fragments of 0.6 s of every recording."""
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(SPEAKERS), SOURCES * 2)
    time = np.arange(SAMPLES) / 16_000
    hertz = 150 * 1.12**speaker * np.exp(0.06 * rng.standard_normal(len(speaker)))
    tone = np.sin(2 * np.pi * (hertz[:, None] * time + rng.random((len(speaker), 1))))
    audio = 2000 * tone + 1000 * rng.standard_normal((len(speaker), SAMPLES))
    manifest = pd.DataFrame({"speaker": np.char.add("s", speaker.astype(str))})
    manifest["source"] = manifest["speaker"] + np.tile(np.repeat([f"-{i}" for i in range(SOURCES)], 2), SPEAKERS)
    return Fragments(audio.astype(np.int16), manifest, {}, "hums")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return tmp_path_factory.mktemp("outputs")


def small(outputs) -> ShadowStudy:
    experiment = ShadowStudy(Dataset("demo", "smoke", 0, "cpu", outputs, settings=SMALL))
    experiment.dataset.__dict__["fragments"] = hums()
    return experiment


@pytest.fixture(scope="module")
def experiment(outputs):
    return small(outputs)


@pytest.fixture(scope="module")
def references(experiment):
    return ReferenceStudy(experiment)


@pytest.fixture
def negated(monkeypatch):
    """A defense that turns every answer round."""

    class Negated(Defense):
        alters = True

        def answer(self, answers):
            return np.where(np.isinf(answers.logits), -np.inf, -answers.logits)

    monkeypatch.setitem(DEFENSES._entries, "negated", Negated)
    return "negated"


def test_recordings_are_drawn_whole_and_fewer_are_some_of_the_same():
    sources = np.array(["a", "a", "b", "c", "c", "c", "", "d", "", "a"])
    drawn = [whole_recordings(sources, count, seed=1) for count in (1, 3, 5, 100)]
    for rows in drawn:
        assert set(rows) == set(np.flatnonzero(np.isin(sources, sources[rows])))
    assert all(set(few) <= set(more) for few, more in pairwise(drawn))
    assert [len(rows) >= count for rows, count in zip(drawn, (1, 3, 5), strict=False)] == [True] * 3
    assert drawn[-1].tolist() == [0, 1, 2, 3, 4, 5, 7, 9]


def test_copies_are_the_answers_to_the_altered_fragments_in_order(experiment):
    rows, released = np.array([5, 2, 90]), experiment.released
    copies = released.copies(rows, 3)
    assert copies.shape == (3, 3, 3, max(experiment.models.network.classes)) and copies.dtype == np.float32
    assert isinstance(copies, np.memmap)
    quieter = experiment.fragments.audio[rows].astype(float) * 10 ** (-6 / 20)
    features = extract("mfcc", [quieter], SMALL["hop"])[0]
    expected = query_models(experiment.models.network, features)
    np.testing.assert_allclose(copies[2], expected, atol=2e-3)
    assert np.abs(copies[2] - copies[1])[np.isfinite(expected)].max() > 0.01


def test_copies_pass_through_the_defense_and_their_features_are_shared(experiment, outputs, negated):
    rows = np.array([1, 70])
    own, _ = np.array(experiment.released.copies(rows, 2)), experiment.logits
    defended = small(outputs).defended(negated)
    before = len(defended.cache.timings)
    given = defended.released.copies(rows, 2)
    np.testing.assert_array_equal(given, np.where(np.isinf(own), -np.inf, -own))
    new = [line["stage"] for line in defended.cache.timings[before:] if not line["cached"]]
    assert new == ["copies-released"]
    np.testing.assert_array_equal(defended.fragments_for(("copies",)), experiment.fragments_for(("copies",)))


def test_whoever_reads_names_only_is_given_those_that_the_defense_gives_out(experiment, outputs, negated):
    rows = np.arange(0, 90, 7)
    plain = experiment.released
    np.testing.assert_array_equal(plain.names_of_copies(rows), plain.copies(rows))  # nothing alters answers
    for defense in ("memguard:0.5", "rounding:1", "hamp_output", "label_only", negated):
        released = small(outputs).defended(defense).released
        names, given = released.names_of_copies(rows), released.copies(rows)
        assert (names.argmax(-1) == given.argmax(-1)).all()
        assert defense == negated or np.isin(names, (0, 1)).all()  # and nothing else of what a model says


def test_what_a_defense_learns_for_its_answers_is_learnt_once_for_all_questions(outputs, monkeypatch):
    learnt, fit = [], memguard.fit_classifiers
    monkeypatch.setattr(memguard, "fit_classifiers", lambda *known: learnt.append(known) or fit(*known))
    released, rows = small(outputs).defended("memguard:0.5").released, np.array([1, 70, 90])
    given = released.copies(rows, 3)
    assert len(learnt) == 1
    each = [released.answer(raw) for raw in released._raw_copies(rows, 3)]
    assert len(learnt) == 4
    np.testing.assert_allclose(given, each, rtol=1e-4, atol=1e-4)


def test_an_attacker_who_does_not_know_the_defense_learns_from_undefended_copies(experiment, outputs, negated):
    defended = small(outputs).defended(negated)
    blind, own = (defended.audits("label_only", "utterance", shadows=e)[0] for e in (experiment, None))
    undefended = experiment.audits("label_only", "utterance")[0]
    assert blind.threshold == undefended.threshold != own.threshold
    assert (blind.scores != undefended.scores).any()


def test_attacks_that_ask_several_times_are_audited_on_some_whole_recordings(references):
    few, everything = references.audits("label_only")[0], references.audits("gap")[0]
    rows = references.detailed_rows
    assert 100 <= len(rows) <= 124 and set(few.rows) == set(everything.rows) & set(rows)
    assert set(few.clusters) == set(references.clusters[few.rows]) and len(few.rows) > 80
    expected = references.signals.member[0, few.rows] == 1
    np.testing.assert_array_equal(few.member, expected)


def test_detailed_signals_are_the_references_own_on_those_recordings(references):
    detailed, rows = references.seen(("copies",))[0], references.detailed_rows
    assert detailed.copies.shape[:3] == (len(PERTURBATIONS), 5, len(rows))
    np.testing.assert_array_equal(detailed.logits, references.signals.logits[:, rows])
    np.testing.assert_array_equal(detailed.member, references.signals.member[:, rows])
    np.testing.assert_array_equal(detailed.population, references.signals.population[rows])


def test_the_negative_controls_model_answers_in_the_targets_place(references):
    exposed, control = (references.audits("label_only_calibrated", control=c)[0] for c in (False, True))
    np.testing.assert_array_equal(exposed.rows, control.rows)
    assert (exposed.scores != control.scores).any() and exposed.threshold == control.threshold


def test_records_hold_attacks_that_ask_several_times_and_the_number_of_their_fragments(references):
    table = references.attack_records("label_only_calibrated")
    assert set(table["attack"]) == {"label_only_calibrated"}
    assert table[table["metric"] == "auc"]["n"].item() == len(references.audits("label_only_calibrated")[0].rows)
    assert set(references.attack_records("label_only")["attack"]) == {"label_only_references"}


def test_leakage_against_the_number_of_queries_has_one_record_per_metric_and_budget(references):
    table = references.against_budget(["label_only", "lira_online_queries"], [1, 4])
    assert table["queries"].tolist() == [1, 1, 4, 4] * 2
    assert table["metric"].tolist()[:4] == [f"{m}_{b}_queries" for b in (1, 4) for m in ("auc", "tpr_at_fpr_1e-2")]
    assert table["value"].between(0, 1).all()


@pytest.mark.parametrize("protocol", ["utterance", "speaker", "paper"])
def test_shadows_of_other_people_teach_the_attack_on_labels_under_every_protocol(experiment, protocol):
    audit, full = experiment.audits("label_only", protocol)[0], experiment.audits("largest_posterior", protocol)[0]
    kept = np.isin(full.rows, experiment.fragments_for(needs_of("label_only")))
    np.testing.assert_array_equal(audit.rows, full.rows[kept])
    np.testing.assert_array_equal(audit.member, full.member[kept])
    assert np.isfinite(audit.threshold) and len(np.unique(audit.scores)) > 2
    control = experiment.audits("label_only", protocol, control=True)[0]
    np.testing.assert_array_equal(control.member, audit.member)


def test_called_members_are_split_by_the_part_that_fragments_played_also_on_some_recordings(experiment):
    shares = experiment.accepted("label_only", "paper")
    rows = experiment.fragments_for(("copies",))
    assert sum(share.n for share in shares.values()) <= len(rows) and min(share.n for share in shares.values()) > 5
