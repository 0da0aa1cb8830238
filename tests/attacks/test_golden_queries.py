"""LiRA over several queries equals the published implementation, where a folder of its numbers is at hand (MIA_GOLDEN)."""

import os
from pathlib import Path

import numpy as np
import pytest

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.lira import LiRA, Predictive
from mia_lib.attacks.queries import Queries
from mia_lib.signals.signals import Signals

FOLDER = Path(os.environ.get("MIA_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden"))
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no golden vectors here: MIA_GOLDEN names their folder")


class MedianLiRA(LiRA):
    """LiRA around medians, as the stored numbers are; the standard deviation stays that around the mean."""

    def fit(self, references):
        phi, member = references.statistics.phi, references.member
        masked = [np.where(member == side, phi, np.nan) for side in (1, 0)]
        self.inside, self.outside = [
            Predictive(np.full(phi.shape[1], np.inf), np.nanmedian(values, axis=0), np.nanstd(values, axis=0))
            for values in masked
        ]
        return self


class OfflineMedianLiRA(MedianLiRA):
    online = False


@pytest.fixture(scope="module")
def golden():
    return np.load(FOLDER / "lira.npz", allow_pickle=False)


def crops(phi, member):
    """Signals with the logit-scaled confidence phi [K, N, crops]: the first crop as fragment, the others as its copies."""
    logits = np.moveaxis(np.stack([phi, np.zeros_like(phi)], -1), 2, 0)
    return Signals(logits[0], np.zeros(phi.shape[:2], int), member, aligned=True, copies=logits[1:])


@pytest.fixture(scope="module")
def references(golden):
    return crops(golden["crops_phi_shadow"], golden["crops_keep"].astype(int))


@pytest.fixture(scope="module")
def target(golden):
    return crops(golden["crops_phi_target"][None], np.full((1, 100), -1))


@pytest.mark.parametrize(
    "name, attack, sides", [("online_pervar", MedianLiRA, 1), ("offline_two_pervar", OfflineMedianLiRA, 2)]
)
def test_the_mean_over_crops_is_the_references(golden, references, target, name, attack, sides):
    over_crops = type("OverCrops", (Queries,), {"single": attack})(budget=3, sides=sides)
    scores = over_crops.fit(references).score(target)[0]
    np.testing.assert_allclose(scores, golden[f"crops_{name}"], atol=1e-11, rtol=1e-9)


def test_means_instead_of_medians_rank_the_crops_alike(golden, references, target):
    attack = ATTACKS.get("lira_online_queries")(budget=3, variance="fragment").fit(references)
    ours, stored = attack.score(target)[0], golden["crops_online_pervar"]
    assert np.corrcoef(ours.argsort().argsort(), stored.argsort().argsort())[0, 1] > 0.95
