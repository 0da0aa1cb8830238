"""BASE by hand, and where it is the best there is."""

import numpy as np
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from test_calibrated import references, two_classes

from mia_lib.attacks import ATTACKS


def test_base_by_hand():
    shadows = two_classes([[0.0, 2.0], [1.0, -1.0], [9.0, 9.0]], [[1, 0], [0, 1], [-1, -1]])
    target = two_classes([[3.0, 0.5]], [[-1, -1]])
    expected = np.log(expit([3.0, 0.5])) - np.log((expit([0.0, 2.0]) + expit([1.0, -1.0])) / 2)
    np.testing.assert_allclose(ATTACKS.get("base")().fit(shadows).score(target), [expected])


def test_base_beats_the_plain_loss_where_fragments_differ_in_difficulty():
    for seed in range(3):
        target, others = references(seed)
        rows = target.member[0] >= 0
        auc = {
            name: roc_auc_score(target.member[0, rows], ATTACKS.get(name)().fit(others).score(target)[0, rows])
            for name in ("base", "loss")
        }
        assert auc["base"] > auc["loss"] + 0.02
