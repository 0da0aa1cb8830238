"""Two models that differ in one recording, and what becomes of it in both."""

import numpy as np
import pytest

from mia_lib.fragments.splits import TRAIN
from mia_lib.studies.counterfactual import WITH, WITHOUT, counterfactual, plan
from mia_lib.studies.dataset import Dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    settings = dict(max_speakers=0, max_utterances=0, epochs=20)
    return Dataset("demo:24x10", "smoke", 1, "cpu", tmp_path_factory.mktemp("outputs"), settings=settings)


def test_the_two_models_differ_in_the_fragments_of_one_recording_and_in_nothing_else(data):
    splits, watched, recording, bystander = plan(data.manifest, data.seed)
    one, other = splits[WITH], splits[WITHOUT]
    differing = np.flatnonzero(one.role != other.role)
    assert set(data.manifest.source[differing]) == {data.manifest.source[recording]} and recording in differing
    assert (one.role[differing] == TRAIN).all() and one.speakers == other.speakers
    assert TRAIN not in (one.role[bystander], other.role[bystander]) and {recording, bystander} <= set(watched)


def test_who_trained_on_a_recording_ends_surer_of_it_and_both_begin_alike(data):
    world = counterfactual(data)
    assert world.end(WITH, world.recording).phi > world.end(WITHOUT, world.recording).phi
    table = world.table[world.table["row"] == world.recording]
    first = table[table["epoch"] == 0].set_index("model")["answer"]
    assert abs(first[WITH] - first[WITHOUT]) < 0.01
    assert table.groupby("model")["epoch"].max().eq(20).all()
    assert not table.duplicated(["model", "epoch"]).any()


def test_most_recordings_are_surer_in_models_that_trained_on_them_and_the_pair_does_not_count(data):
    world = counterfactual(data)
    surer = world.surer()
    assert (surer > 0).mean() > 0.7
    pair = world.table["model"] <= WITHOUT
    world.table.loc[pair, "phi"] = 1e6
    np.testing.assert_array_equal(world.surer(), surer)
