"""Models are kept one by one, under keys of their own, and answers under the weights that gave them, in their order."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mia_lib.fragments.splits import HELD_OUT, TRAIN, VALIDATION, coin_splits
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.pool import STAGE, ModelPool, train_together
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.released import ReleasedSignals
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.support.errors import MiaError, UsageError

SMALL = dict(epochs=2, shadow_epochs=2, bootstrap=20, n_references=4, repeats=1, max_speakers=0, max_utterances=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return Dataset("demo:12x6", "smoke", 0, "cpu", tmp_path_factory.mktemp("outputs"), settings=SMALL)


@pytest.fixture(scope="module")
def halves(data):
    return coin_splits(data.manifest, sorted(data.manifest["speaker"].astype(str).unique()), 4, 0)[0]


def pool(data, splits, seeds, **options):
    return ModelPool(data, splits, [2] * len(splits), seeds, **options)


@pytest.fixture
def trained(monkeypatch):
    """How many models were trained, call by call."""
    from mia_lib.studies import pool as module

    calls, train = [], module.train_in_parts
    monkeypatch.setattr(
        module, "train_in_parts", lambda defense, job: calls.append(len(job.train)) or train(defense, job)
    )
    return calls


def test_a_larger_pool_trains_only_the_models_that_are_new(data, halves, trained):
    small = pool(data, halves[:2], [1, 2])
    weights = small.weights
    larger = pool(data, halves, [1, 2, 3, 4])
    assert larger.weights[:2] == weights and trained == [2, 2]
    assert pool(data, halves[::-1], [4, 3, 2, 1]).weights == larger.weights[::-1] and trained == [2, 2]


def test_another_order_of_the_same_models_has_its_own_answers(data, halves):
    one, other = (ReleasedSignals(pool(data, splits, seeds)) for splits, seeds in
                  ((halves[:2], [1, 2]), (halves[1::-1], [2, 1])))  # fmt: skip
    assert not np.array_equal(one.logits[0], one.logits[1])
    np.testing.assert_allclose(other.logits, one.logits[::-1], atol=1e-4)
    assert one.key != other.key


@pytest.mark.parametrize("change", ["seed", "epochs", "split", "speakers", "defense", "followed"])
def test_whatever_decides_a_model_is_in_its_key(data, halves, change):
    split, options = halves[0], {}
    if change == "split":
        split = halves[1]
    elif change == "speakers":
        split = SimpleNamespace(role=split.role, speakers=split.speakers[::-1])
    elif change in ("defense", "followed"):
        options = {change: {"defense": "mixup", "followed": True}[change]}
    usual = pool(data, halves[:1], [1]).keys
    changed = ModelPool(data, [split], [3 if change == "epochs" else 2], [5 if change == "seed" else 1], **options).keys
    assert changed != usual and pool(data, halves[:1], [1]).keys == usual


def test_a_sweep_is_kept_once(data, halves, trained):
    pools = [pool(data, halves[:2], [7, 8], defense=f"label_smoothing:{strength}") for strength in (0.2, 0.4)]
    before = len(list(data.cache.root.glob("model*")))
    train_together(pools)
    assert trained == [4]
    new = list(data.cache.root.glob("model*"))
    assert len(new) - before == 4 and {path.name.partition("-")[0] for path in new} == {STAGE}
    assert not list(data.cache.root.glob("*.partial"))


def test_a_disk_that_is_full_when_some_models_are_kept_leaves_no_checkpoints_behind(data, halves, trained, monkeypatch):
    pools, keep = [pool(data, halves[:2], seeds) for seeds in ([21, 22], [23, 24])], ModelPool.keep
    kept = []

    def until_full(self, model, own):
        if len(kept) == 3:
            raise OSError(28, "No space left on device")
        kept.append(model)
        keep(self, model, own)

    monkeypatch.setattr(ModelPool, "keep", until_full)
    with pytest.raises(MiaError, match="No space left"):
        train_together(pools)
    assert list(data.cache.root.glob("training*.partial"))
    monkeypatch.setattr(ModelPool, "keep", keep)
    train_together(pools)
    assert trained == [4, 1] and not list(data.cache.root.glob("*.partial"))


def test_what_a_model_lacks_is_not_replaced_by_what_it_trains_on(data, halves):
    nobody = pool(data, halves[:2], [1, 2], defense="dmp").job()
    assert nobody.reference is None and nobody.validation is None
    with pytest.raises(UsageError, match="reference fragments"):
        _ = pool(data, halves[:2], [1, 2], defense="dmp").models


def test_more_reference_models_leave_the_first_ones_as_they_are(data, trained):
    few, more = (ReferenceStudy(ShadowStudy(data), count) for count in (3, 5))
    weights = few.pool.weights
    assert more.pool.weights[:4] == weights[:4] and more.pool.weights[-1] == weights[-1]
    assert trained == [5, 2]


def test_reference_models_stop_early_too_on_recordings_of_their_own(data):
    patient = Dataset("demo:12x6", "smoke", 0, "cpu", data.cache.root.parent, settings=SMALL | {"patience": 1})
    study = ReferenceStudy(ShadowStudy(patient))
    for split in study.splits:
        source = patient.manifest["source"].astype(str).to_numpy()
        aside = set(source[split.role == VALIDATION])
        assert aside and not aside & (set(source[split.role == TRAIN]) | set(source[split.role == HELD_OUT]))
    assert len(study.audits("loss")) == 1


def test_a_model_that_is_gone_from_the_cache_is_named(data, halves, monkeypatch):
    lost = pool(data, halves[:2], [1, 2])
    assert len(lost.weights) == 2
    monkeypatch.setattr(lost, "find", lambda model: None if model else Path("kept"))
    with pytest.raises(MiaError, match=r"model 1 is no longer in .*: run again to train it anew"):
        lost._folders()
