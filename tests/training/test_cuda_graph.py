"""A recorded step, replayed, trains the models that steps taken one by one do, and only what can be recorded is."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import make_defense
from mia_lib.support import device
from mia_lib.training.cuda_graph import RECORDERS
from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective
from mia_lib.training.recipe import train_defended
from mia_lib.training.train import train_job


class Tape(TorchDispatchMode):
    """A CUDA graph's likeness on the CPU: notes every operation, and repeats them on the very same memory.

    What a recording may not do, it refuses as well: read a value back, or take one from the host.
    """

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):
        assert call.name() not in ("aten::_local_scalar_dense", "aten::nonzero"), f"{call} reads back from the device"
        assert "rand" not in call.name(), f"{call} draws on the host"
        results = call(*args, **(kwargs or {}))
        self.calls.append((call, args, kwargs or {}, results))
        return results

    @torch.no_grad()
    def replay(self):
        for call, args, kwargs, results in self.calls:
            again = call(*args, **kwargs)
            for old, new in zip(tensors(results), tensors(again), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def tensors(tree):
    found = []
    tree_map_only(torch.Tensor, found.append, tree)
    return found


@pytest.fixture
def tapes(monkeypatch):
    """Records on the CPU; the tapes that were made."""
    made = []

    def record(step):
        kept = [t.clone() for t in state(step.__self__)]
        with Tape() as tape:
            results = step()
        for tensor, value in zip(state(step.__self__), kept, strict=True):  # recording takes no step
            tensor.data.copy_(value)
        made.append(tape)

        def replay():
            tape.replay()
            return results

        return replay

    monkeypatch.setitem(RECORDERS, "cpu", record)
    monkeypatch.setattr(device, "compiled", lambda tensor: False)  # a tape holds operations of torch
    return made


def state(run):
    return [run.at, *run.network.state_dict().values(), *run.adam.tensors().values()]


def job(**options):
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((80, 70, 8)))
    labels = np.stack([np.arange(80) % c for c in (4, 6)])
    train, reference = [rng.permutation(60)[:n] for n in (40, 32)], [np.arange(60, 80)] * 2
    config = TrainingConfig(epochs=(2, 3), batch_size=8)
    return Job(features, labels, train, config, [1, 2], reference=reference, dtype=torch.float64, **options)


def weights(models):
    return torch.cat([p.flatten() for p in models.network.state_dict().values()])


TRAINING = [name for name in DEFENSES.names() if make_defense(name).trains]
TRAINING = [name for name in TRAINING if not (make_defense(name).needs_augmented or make_defense(name).needs_public)]


@pytest.mark.parametrize("name", ["none", *TRAINING])
def test_replayed_steps_train_the_same_models(name, tapes):
    defense = make_defense(name)
    replayed = train_defended(defense, job())
    RECORDERS.pop("cpu")
    torch.testing.assert_close(weights(replayed), weights(train_defended(defense, job())), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["none", "weight_decay", "distillation", "relaxloss"])
def test_a_step_without_draws_is_recorded(name, tapes):
    train_defended(make_defense(name), job())
    assert tapes and all(len(tape.calls) > 50 for tape in tapes)


@pytest.mark.parametrize("name", ["mixup", "dropout", "pgd", "dp_sgd", "adversarial_regularisation"])
def test_a_step_with_draws_is_not_recorded(name, tapes):
    train_defended(make_defense(name), job())
    assert not tapes


def test_altered_batches_are_not_recorded(tapes):
    train_job(job(alterations=(lambda network, features, batch: features,)), Objective())
    assert not tapes


def test_an_objective_that_reads_back_cannot_be_recorded(tapes):
    class Reading(Objective):
        def losses(self, network, features, labels, batch):
            losses, logits = super().losses(network, features, labels, batch)
            return losses * float(losses.detach().max() > 0), logits

    with pytest.raises(AssertionError, match="reads back"):
        train_job(job(), Reading())


def test_steps_that_cannot_be_recorded_are_taken_one_by_one(monkeypatch):
    def failing(step):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    alone = train_job(job(), Objective())
    monkeypatch.setitem(RECORDERS, "cpu", failing)
    with pytest.warns(UserWarning, match=r"one kernel after the other.*capturing$"):
        models = train_job(job(), Objective())
    torch.testing.assert_close(weights(models), weights(alone), rtol=0, atol=0)
