"""Who is exposed, on a small study: traces are the targets' own, forecasts know no attack, few recordings are few."""

import numpy as np
import pytest

from mia_lib.evaluation import people
from mia_lib.studies import exposed
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy

SETTINGS = dict(
    epochs=2, shadow_epochs=1, n_references=4, repeats=2, bootstrap=5, public_speakers=8, public_utterances=4
)
SETTINGS |= dict(max_speakers=0, max_utterances=0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return ShadowStudy(Dataset("demo:10x6", "smoke", 0, "cpu", tmp_path_factory.mktemp("outputs"), settings=SETTINGS))


@pytest.fixture(scope="module")
def references(study):
    return ReferenceStudy(study)


def test_traces_end_near_the_losses_of_the_targets_themselves(references):
    traces = exposed.loss_traces(references)
    assert len(traces) == 2
    for place, trace in enumerate(traces):
        own = references.splits[place].train()
        assert trace.shape[0] == len(own) and (~np.isnan(trace)).any(1).all()
        told = references.models.history
        first = told[told["model"] == place]["loss"].iloc[0]
        assert np.nanmean(trace[:, 0]) == pytest.approx(first, rel=0.05)


def test_forecasts_are_of_members_and_say_whether_they_are_found(references):
    table = exposed.forecasts(references)
    records = exposed.forecast_records(references, table)
    rows = [set(references.splits[k].train()) for k in references.targets()]
    assert all(row in rows[target] for row, target in zip(table["row"], table["target"], strict=True))
    assert (table["loss_spread"] >= 0).all() and table["fewest_recordings"].max() <= -1
    found = records[records["measure"] == "share_vulnerable"]["value"].iloc[0]
    assert found == pytest.approx(table.groupby("target")["vulnerable"].mean().mean(), abs=0.05)
    assert set(records["condition"]) == {*exposed.FORECASTS, ""}
    assert 0 <= exposed.tail_records(references)["value"].iloc[0] <= 1


def test_persons_over_targets_and_attacks_are_recorded(references):
    audits = exposed.audits_of(references, ("lira_online", "loss"))
    records = exposed.people_records(references, audits, people.people(audits))
    assert {f"found_by_any_{one}" for one in ("members", "others", "best", "gain")} | {"exposure_agreement"} == set(
        records["measure"]
    )


def test_where_recordings_are_few_nobody_has_more(study):
    few = exposed.FewRecordings(study, 4)
    source = few.manifest["source"].astype(str)
    for split in few.splits[: few.count]:
        used = source[split.role != 0].groupby(few.manifest["speaker"].astype(str)[split.role != 0]).nunique()
        assert used.max() <= 4
    assert exposed.trained_recordings(few) < 3


def test_models_that_begin_from_public_voices_say_so_in_their_keys(study):
    private, plain = study.defended("dp_finetune:8").pool, study.pool
    assert all("public" in key for key in private.keys) and not any("public" in key for key in plain.keys)
    network = private.job().public
    assert network.centre.shape == (512,) and network.length > 0
    trained = private.models.network.state_dict()
    assert (trained["hidden.weight"] == network.weights["hidden.weight"]).all()
