"""The adversarial losses equal those of the published reference implementations (MIA_GOLDEN): the paper's form."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mia_lib.defenses.adversarial_regularisation import inference_gain, regularised_loss
from mia_lib.training.objective import cross_entropy

FOLDER = Path(os.environ.get("MIA_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden"))
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no golden vectors here: MIA_GOLDEN names their folder")


@pytest.fixture(scope="module")
def golden():
    return np.load(FOLDER / "losses.npz", allow_pickle=False)


@pytest.fixture(scope="module")
def member(golden):
    return torch.logit(torch.from_numpy(golden["advreg_h_member"]))[None]


@pytest.mark.parametrize("weight", [1, 3, 10])
def test_the_models_loss_is_the_papers_and_not_the_codes(golden, member, weight):
    losses = cross_entropy(torch.from_numpy(golden["logits"])[None], torch.from_numpy(golden["labels"])[None])
    np.testing.assert_allclose(losses[0], golden["ce_per_example"], atol=1e-11)
    ours = regularised_loss(losses.mean(1), member, torch.tensor([float(weight)]).double()).item()
    assert ours == pytest.approx(float(golden[f"advreg_paper_l{weight}"]), abs=1e-11)
    assert abs(ours - float(golden[f"advreg_repo_l{weight}"])) > 0.01


def test_the_gain_is_the_papers(golden, member):
    reference = torch.logit(torch.from_numpy(golden["advreg_h_nonmember"]))[None]
    assert inference_gain(member, reference).item() == pytest.approx(float(golden["advreg_attack_gain"]), abs=1e-11)
    assert inference_gain(member, reference).item() == pytest.approx(-float(golden["advreg_attack_bce"]), abs=1e-11)
