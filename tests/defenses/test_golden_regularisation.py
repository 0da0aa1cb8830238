"""Losses and soft labels equal those of the published implementations, where their numbers are at hand (MIA_GOLDEN)."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mia_lib.defenses.hamp import hamp_loss, soft_labels, top_target
from mia_lib.defenses.relaxloss import flattened_targets, relaxed_loss
from mia_lib.training.objective import cross_entropy, soft_cross_entropy

FOLDER = Path(os.environ.get("MIA_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden"))
CLOSE = dict(atol=1e-11, rtol=1e-9)
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no golden vectors here: MIA_GOLDEN names their folder")


def load(name):
    golden = np.load(FOLDER / name, allow_pickle=False)
    return golden, torch.from_numpy(golden["logits"])[None], torch.from_numpy(golden["labels"])[None]


@pytest.mark.parametrize("side", ["low", "high"])
@pytest.mark.parametrize("parity", ["even", "odd"])
def test_relaxloss_is_the_references(side, parity):
    golden, logits, labels = load("losses.npz")
    alpha = torch.from_numpy(np.atleast_1d(golden[f"relax_alpha_{side}"]))
    loss = relaxed_loss(logits.requires_grad_(), labels, alpha, torch.tensor([parity == "odd"]))
    assert loss.item() == pytest.approx(float(golden[f"relax_nonimage_{parity}_{side}_u10"]), abs=1e-11)
    loss.sum().backward()
    if parity == "even":
        expected = golden[f"relax_grad_even_{side}"]
    elif side == "high":
        expected = golden["relax_nonimage_grad_detached_odd_high_u10"]
    else:
        (expected,) = torch.autograd.grad(cross_entropy(logits, labels).mean(), logits)
    np.testing.assert_allclose(logits.grad[0], np.asarray(expected).reshape(logits.shape[1:]), **CLOSE)


def test_flattened_targets_are_the_references():
    golden, logits, labels = load("losses.npz")
    targets = flattened_targets(logits, labels)
    np.testing.assert_allclose(targets[0], golden["relax_soft_targets_u10"], **CLOSE)
    np.testing.assert_allclose(soft_cross_entropy(logits, targets)[0], golden["relax_soft_ce_u10"], **CLOSE)


def test_hamps_soft_labels_solve_what_the_references_search_on_a_grid():
    golden = np.load(FOLDER / "hamp.npz", allow_pickle=False)
    top = top_target(golden["percentiles"], golden["logits"].shape[1])
    np.testing.assert_allclose(top, golden["soft_top1_exact"], atol=1e-9)
    assert (top >= golden["soft_top1"] - 1e-12).all() and (top < golden["soft_top1"] + 0.01).all()


@pytest.mark.parametrize("i, percentile", [(1, None), (5, "095")])
def test_soft_labels_share_the_rest_evenly(i, percentile):
    golden, logits, labels = load("hamp.npz")
    top = torch.tensor([golden["soft_top1"][i]])
    targets = soft_labels(labels, top, torch.isfinite(logits))[0].numpy()
    if percentile:
        np.testing.assert_allclose(targets, golden[f"soft_labels_{percentile}"], **CLOSE)
    np.testing.assert_allclose(np.sort(targets, 1)[:, :-1], golden["soft_other"][i], **CLOSE)


@pytest.mark.parametrize("percentile", ["095", "050"])
def test_hamps_loss_is_the_references(percentile):
    golden, logits, _ = load("hamp.npz")
    targets, classes = torch.from_numpy(golden[f"soft_labels_{percentile}"])[None], logits.shape[-1]
    for name, alpha in (("a0001", 0.001), ("a001", 0.01)):
        mean = hamp_loss(logits, targets, torch.tensor([alpha], dtype=torch.float64))
        assert mean.item() == pytest.approx(float(golden[f"loss_batchmean_{percentile}_{name}"]), abs=1e-11)
        logits.requires_grad_().grad = None
        published = hamp_loss(logits, targets, torch.tensor([alpha * classes], dtype=torch.float64)) / classes
        assert published.item() == pytest.approx(float(golden[f"loss_repo_{percentile}_{name}"]), abs=1e-11)
    published.sum().backward()
    np.testing.assert_allclose(logits.grad[0], golden[f"loss_repo_grad_{percentile}_a001"], **CLOSE)
