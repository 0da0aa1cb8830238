"""How long a run takes is told before it starts, from counted work and a measured pace."""

import dataclasses
import time

import pytest

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import make_defense
from mia_lib.series.notebooks import find_notebooks
from mia_lib.studies import cost
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support import limits

SMALL = dict(max_speakers=0, max_utterances=0, epochs=3, shadow_epochs=2, n_shadows=2, repeats=1, n_references=4)
SMALL |= dict(defense_references=4, defense_speakers=0)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return ShadowStudy(Dataset("demo:24x10", "smoke", 0, "cpu", tmp_path_factory.mktemp("outputs"), settings=SMALL))


def notebook(work, seconds=0.0, name="00_one"):
    return dataclasses.replace(find_notebooks()[0], name=name, work=work, seconds=seconds)


def seconds(experiment, notebooks):
    return sum(cost.forecast(experiment, notebooks).seconds.values())


def test_work_is_models_times_fragments_times_epochs_times_the_defense(experiment):
    sizes = [len(split.train()) for split in experiment.splits]
    assert cost.passes(experiment.pool) == 3 * sizes[0] + 2 * sum(sizes[1:])
    defended = experiment.defended("pgd:0.1").pool
    assert cost.passes(defended) == make_defense("pgd").cost * cost.passes(experiment.pool)


def test_what_several_notebooks_need_counts_once_and_the_rest_goes_with_pace_and_data(experiment, monkeypatch):
    monkeypatch.setattr(cost, "pace", lambda *_: cost.Pace(2 * cost.KNOWN_PACE, 1.0))
    monkeypatch.setattr(limits, "cores", lambda: 1)
    start, share = cost.START, len(experiment.manifest) / cost.KNOWN_FRAGMENTS
    one = seconds(experiment, [notebook(("targets",), start)])
    assert one == pytest.approx(2 * cost.KNOWN_PACE * cost.passes(experiment.pool) + 2 * start)
    both = seconds(experiment, [notebook(("targets",), start + 5), notebook(("targets",), start + 7, "01_other")])
    assert both == pytest.approx(one + 2 * start + 2 * 12 * share)


def test_what_does_not_train_takes_as_long_whatever_is_trained(experiment, monkeypatch):
    paces = {"paper_mfcc": 2 * cost.KNOWN_PACE, "head": 1e-9}
    monkeypatch.setattr(cost, "pace", lambda study, network=None: cost.Pace(paces[(network or ("head",))[0]], 1.0))
    monkeypatch.setattr(cost, "network_of", lambda _: ("head", (1, 256)))
    assert seconds(experiment, [notebook((), cost.START)]) == pytest.approx(2 * cost.START)


def test_the_network_whose_pace_is_known_is_that_of_the_profiles(experiment):
    assert cost.network_of(experiment) == cost.KNOWN_NETWORK


def test_every_family_can_be_counted_and_costs_more_than_its_undefended_models(experiment, monkeypatch):
    monkeypatch.setattr(cost, "pace", lambda *_: cost.Pace(1.0, 1.0))
    nothing = seconds(experiment, [notebook(())])
    plain = seconds(experiment, [notebook(("obfuscation",))]) - nothing
    for family in ("regularisation", "distillation", "adversarial", "privacy"):
        assert seconds(experiment, [notebook((family,))]) - nothing > 2 * plain > 0


def test_what_is_in_the_cache_costs_nothing(experiment):
    validation = experiment.validation().pool
    before = cost.passes(validation)
    _ = validation.models
    assert before > 0 and cost.passes(validation) == 0


def test_the_pace_is_measured_where_the_models_will_train(experiment):
    measured = cost.pace(experiment)
    assert 1e-7 < measured.seconds < 0.1 and measured.load >= 1


def test_a_passing_load_is_told_apart_from_the_machines_pace(experiment, monkeypatch):
    """The clock runs three times as fast as the processor does, as beside two other busy processes."""
    clock = time.process_time
    monkeypatch.setattr(limits, "cores", lambda: 1)
    monkeypatch.setattr(cost.time, "perf_counter", lambda: 3 * clock())
    assert cost.pace(experiment).load == pytest.approx(3, rel=0.02)


def test_parts_share_the_cores(experiment, monkeypatch):
    monkeypatch.setattr(cost, "pace", lambda *_: cost.Pace(1.0, 1.0))
    alone = seconds(experiment, [notebook(("references",))]) - seconds(experiment, [notebook(())])
    monkeypatch.setattr(cost, "PART", 1)
    monkeypatch.setattr(limits, "cores", lambda: 4)
    together = seconds(experiment, [notebook(("references",))]) - seconds(experiment, [notebook(())])
    assert together == pytest.approx(alone / 4)


def test_what_is_left_follows_from_what_was_slower_than_forecast():
    forecast = cost.Forecast({"00": 10.0, "01": 20.0, "02": 30.0}, load=1.0)
    assert forecast.left({"00": 20.0}) == 100.0 and forecast.left({"00": 5.0, "01": 10.0}) == 15.0
    assert forecast.left({"00": 1.0, "01": 1.0, "02": 1.0}) is None and forecast.left({}) is None


def test_a_defense_that_trains_says_what_it_costs():
    for name in DEFENSES.names():
        assert make_defense(name).cost >= 1 or name in ("early_stopping", "dp_finetune")


def test_the_notebooks_say_what_they_need():
    known = {"targets", "references", "forgetting", *(kind.family for kind in map(DEFENSES.get, DEFENSES.names()))}
    for found in find_notebooks():
        assert found.seconds > 0 and known.issuperset(found.work)


def test_notebooks_beside_each_other_take_their_share_of_the_sum_and_never_less_than_the_longest():
    forecast = cost.Forecast({"00": 10.0, "01": 20.0, "02": 30.0}, load=1.0, lanes=2)
    assert forecast.total() == 30.0 and forecast.left({"00": 10.0}) == 30.0
    assert cost.Forecast({"00": 30.0, "01": 30.0, "02": 30.0}, load=1.0, lanes=2).total() == 45.0
