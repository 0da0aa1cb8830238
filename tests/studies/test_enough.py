"""A corpus that leaves too little for what is to be studied is refused beforehand, with the smallest that works."""

import re

import numpy as np
import pandas as pd
import pytest
from corpora.trees import folder_tree

from mia_lib.corpora.folder import FolderCorpus
from mia_lib.defenses.base import FAMILIES
from mia_lib.series.notebooks import find_notebooks
from mia_lib.series.request import Request
from mia_lib.series.runner import plan, prepare_data
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.enough import check_enough, shortage
from mia_lib.support.errors import MiaError

EVERYTHING = ("targets", "references", "forgetting", *FAMILIES)


def table(speakers, sources, fragments=1):
    rows = [(f"s{s}", f"s{s}-{u}", "") for s in range(speakers) for u in range(sources) for _ in range(fragments)]
    return pd.DataFrame(rows, columns=["speaker", "source", "subset"])


def dataset(tmp_path, profile="smoke", **settings):
    return Dataset("demo", profile, 0, "cpu", tmp_path, settings=settings)


def test_what_is_asked_for_is_all_that_notebooks_train():
    assert {word for notebook in find_notebooks() for word in notebook.work} == {*EVERYTHING}


@pytest.mark.parametrize("profile", ["smoke", "standard"])
@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_corpus_that_is_promised_is_enough_for_everything(tmp_path, profile, seed):
    data = dataset(tmp_path, profile)
    data.seed = seed
    check_enough(data, EVERYTHING, table(8, 4))


@pytest.mark.parametrize(
    "settings, way, enough, too_few",
    [
        ({"train_fraction": 0.8}, "8 utterances of each speaker", table(8, 8), table(8, 7)),
        ({"train_fraction": 0.9}, "16 utterances of each speaker", table(8, 16), table(8, 15)),
        ({"train_fraction": 0.8, "max_utterances": 4}, "max_utterances=8", table(8, 8), table(8, 7)),
    ],
)
def test_too_few_are_refused_with_the_smallest_number_that_works(tmp_path, settings, way, enough, too_few):
    data = dataset(tmp_path, **settings)
    with pytest.raises(MiaError, match=f"8 speakers with 4 utterances .* are needed: use {way} or ") as caught:
        check_enough(data, EVERYTHING, table(8, 4))
    check_enough(data, EVERYTHING, enough)
    with pytest.raises(MiaError):
        check_enough(data, EVERYTHING, too_few)
    fraction = float(re.search(r"or train_fraction=([.\d]+)", str(caught.value))[1])
    check_enough(dataset(tmp_path, **settings | {"train_fraction": fraction}), EVERYTHING, table(8, 4))


def test_early_stopping_needs_recordings_to_stop_by(tmp_path):
    with pytest.raises(MiaError, match=r"patience=2 and train_fraction=0\.2 .*: use \d+ utterances .*"):
        check_enough(dataset(tmp_path, train_fraction=0.2, patience=2), ("targets",), table(8, 4))
    check_enough(dataset(tmp_path, train_fraction=0.2), ("targets",), table(8, 4))


def test_only_what_is_to_be_studied_has_to_be_possible(tmp_path):
    data = dataset(tmp_path, train_fraction=0.8)
    assert shortage(data, ("targets", "references"), table(8, 4)) == ""
    assert shortage(data, ("obfuscation",), table(8, 4)) and not shortage(data, (), table(8, 4))


def test_fragments_of_one_recording_count_only_where_fragments_are_needed(tmp_path):
    data = dataset(tmp_path, max_speakers=8)
    assert not shortage(data, EVERYTHING, table(8, 4, fragments=3))
    assert "train on" not in shortage(dataset(tmp_path, train_fraction=0.8), EVERYTHING, table(8, 4, fragments=9))


def test_a_target_has_two_strangers_at_least_so_that_intervals_know_their_luck(tmp_path):
    data = dataset(tmp_path)
    for speakers in range(8, 30):
        assert shortage(data, ("targets",), table(speakers, 4)) == ""


def test_what_cannot_do_is_refused_before_anything_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(FolderCorpus, "read", lambda *_: pytest.fail("a recording was read"))
    corpus = f"folder:{folder_tree(tmp_path / 'speech', speakers=8, each=4)}"
    run = plan(Request(corpus, "paper", outputs=str(tmp_path / "out")), None, False, find_notebooks()[0].path.parent)
    with pytest.raises(MiaError, match="are needed: use 8 utterances of each speaker"):
        prepare_data(run)
    assert np.all([path.name != "fragments" for path in tmp_path.rglob("*")])
