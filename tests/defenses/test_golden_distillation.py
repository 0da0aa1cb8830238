"""Distillation losses against published implementations, where a folder of their numbers is at hand (MIA_GOLDEN)."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mia_lib.defenses.distillation import HotCrossEntropy
from mia_lib.training.teaching import distillation_loss

FOLDER = Path(os.environ.get("MIA_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden"))
CLOSE = dict(atol=1e-11, rtol=1e-9)
WEIGHTS = {"a095": 0.95, "a05": 0.5}  # of the teacher's answers; the rest weighs the labels
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no golden vectors here: MIA_GOLDEN names their folder")


@pytest.fixture(scope="module")
def golden():
    return np.load(FOLDER / "losses.npz", allow_pickle=False)


def per_example(golden, temperature):
    """Our loss of each example, and the student's logits [1, n, classes] it was computed from."""
    logits = torch.from_numpy(golden["logits"])[None].requires_grad_()
    answers = torch.softmax(torch.from_numpy(golden["teacher_logits"])[None] / temperature, -1)
    return distillation_loss(logits, answers, torch.tensor([float(temperature)]).double()), logits


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("temperature", [1, 2, 4, 20])
def test_the_loss_is_hintons_with_all_weight_on_the_teacher(golden, temperature, weight):
    ours, w = per_example(golden, temperature)[0].mean().item(), WEIGHTS[weight]
    expected = golden[f"distil_hinton_T{temperature}_{weight}"]
    np.testing.assert_allclose(w * ours + (1 - w) * golden["ce_mean"], expected, **CLOSE)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_so_is_its_gradient(golden, weight):
    loss, logits = per_example(golden, 4)
    w, labels = WEIGHTS[weight], torch.from_numpy(golden["labels"])
    (w * loss.mean() + (1 - w) * torch.nn.functional.cross_entropy(logits[0], labels)).backward()
    np.testing.assert_allclose(logits.grad[0], golden[f"distil_hinton_grad_T4_{weight}"], **CLOSE)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("temperature", [1, 2, 4, 20])
def test_it_differs_from_the_papers_code_by_temperature_squared_and_a_sum(golden, temperature, weight):
    ours = per_example(golden, temperature)[0].sum().item() / temperature**2
    np.testing.assert_allclose(
        WEIGHTS[weight] * ours, golden[f"distil_cyphercat_utils_T{temperature}_{weight}"], **CLOSE
    )
    network, labels = (lambda logits: logits), torch.from_numpy(golden["labels"])[None]
    objective = HotCrossEntropy(torch.tensor([float(temperature)]).double())
    hot, _ = objective.losses(network, torch.from_numpy(golden["logits"])[None], labels, None)
    whole = WEIGHTS[weight] * ours + (1 - WEIGHTS[weight]) * hot.item()
    np.testing.assert_allclose(whole, golden[f"distil_cyphercat_T{temperature}_{weight}"], **CLOSE)
