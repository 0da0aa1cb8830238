"""Who does not hold the file: asked about versions, learnt from other models, compared with the file itself."""

import numpy as np
import pytest

from mia_lib.evaluation.differences import ratio
from mia_lib.evaluation.intervals import Measure
from mia_lib.fragments.versions import EXACT, RANGE
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.studies.versions import ALL, HOLDING, LEFT, VersionStudy, records_without_file

SETTINGS = dict(
    epochs=8, n_references=4, repeats=1, bootstrap=50, max_speakers=0, max_utterances=0, query_fragments=100
)


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    return ReferenceStudy(ShadowStudy(Dataset("demo:10x8", "smoke", 0, "cpu", outputs, settings=SETTINGS)))


@pytest.fixture(scope="module")
def records(references):
    return records_without_file(references, (EXACT, "one_second"))


def found(records, attack, measure, condition, control=""):
    table = records[(records.attack == attack) & (records.measure == measure) & (records.control == control)]
    return table.set_index("condition").value[condition]


def test_the_file_itself_is_answered_as_it_always_is(references):
    exact = VersionStudy(references, EXACT)
    rows = exact.detailed_rows
    signals, unexposed, fragments = exact.seen(("copies",))
    np.testing.assert_allclose(signals.logits, references.signals.logits[:, rows], atol=1e-3)
    assert np.array_equal(fragments, rows) and np.array_equal(signals.member, references.signals.member[:, rows])
    assert len(signals.copies) == len(RANGE) and (unexposed.member == -1).all()


def test_a_version_has_other_answers_and_its_own_fits(references):
    exact, second = VersionStudy(references, EXACT), VersionStudy(references, "one_second")
    assert np.abs(exact.seen(())[0].logits - second.seen(())[0].logits).max() > 0.1
    exact.audits("lira_offline")
    assert exact._fits and not second._fits and references._fits is not exact._fits


def test_no_fit_sees_the_target(references, monkeypatch):
    study, seen = VersionStudy(references, "one_second"), []
    fit = VersionStudy.fit
    monkeypatch.setattr(
        VersionStudy, "fit", lambda self, q, target, known: seen.append((target, known)) or fit(self, q, target, known)
    )
    study.audits("top3_network")
    for target, known in seen:
        assert (known.member[target] == -1).all() and (known.member >= 0).any()
    assert len(seen) == len(study.targets())


def test_who_holds_all_versions_asks_about_each_but_the_file(references, monkeypatch):
    monkeypatch.setattr("mia_lib.studies.versions.versions_of", lambda corpus, manifest: (EXACT, "one_second", "talk"))
    signals, _, _ = VersionStudy(references, ALL).seen(("copies",))
    for name, logits in (("one_second", signals.logits), ("talk", signals.copies[0])):
        np.testing.assert_array_equal(logits, VersionStudy(references, name).seen(())[0].logits)
    assert len(signals.copies) == 1
    found = VersionStudy(references, ALL).records()
    assert set(found.attack) == {"label_only", "ramia"} and set(found.condition) == {"held_all"}


def test_less_is_found_with_a_second_of_it_than_with_the_file(records):
    with_file, with_second = (found(records, "lira_offline", "auc", HOLDING + one) for one in (EXACT, "one_second"))
    assert with_file > 0.8 > with_second
    share = found(records, "lira_offline", LEFT + "auc", HOLDING + "one_second")
    assert share == pytest.approx((with_second - 0.5) / (with_file - 0.5))
    assert not ((records.measure == LEFT + "auc") & (records.condition == HOLDING + EXACT)).any()


def test_a_model_that_heard_nothing_of_it_is_asked_as_a_control(records):
    table = records[records.control == "unexposed"]
    assert len(table) == 10 and ((table.value - 0.5).abs() < 0.25).all()  # one model of ten speakers: a matter of luck


def test_the_interval_of_a_ratio_is_donner_and_zou_s():
    """Their formula, written out; and about three of a hundred draws on either side."""
    a, b = Measure(0.3, 0.2, 0.38, 50), Measure(0.4, 0.36, 0.46, 80)
    low = (0.12 - np.sqrt(0.12**2 - 0.2 * 0.46 * (0.6 - 0.2) * (0.8 - 0.46))) / (0.46 * (0.8 - 0.46))
    high = (0.12 + np.sqrt(0.12**2 - 0.38 * 0.36 * (0.6 - 0.38) * (0.8 - 0.36))) / (0.36 * (0.8 - 0.36))
    made = ratio(a, b)
    assert (made.value, made.low, made.high, made.n) == (
        pytest.approx(0.75),
        pytest.approx(low),
        pytest.approx(high),
        50,
    )
    assert np.isnan(ratio(a, Measure(0.01, -0.02, 0.04, 9)).value)
    rng, inside = np.random.default_rng(0), 0
    for x, y in zip(rng.normal(0.3, 0.03, 2000), rng.normal(0.5, 0.05, 2000), strict=True):
        one, two = (Measure(v, v - 1.96 * s, v + 1.96 * s, 1) for v, s in ((x, 0.03), (y, 0.05)))
        made = ratio(one, two)
        inside += made.low <= 0.6 <= made.high
    assert 0.94 < inside / 2000 < 0.965
