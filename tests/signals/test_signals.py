"""What signals keep and leave out when they are looked at by somebody who knows less."""

import numpy as np
import pytest

from mia_lib.attacks import ATTACKS
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError


def test_internals_which_were_read_at_the_true_class_go_where_labels_go():
    rng = np.random.default_rng(0)
    member = np.array([[0, 1, 0, 1], [1, 0, 1, 0]])
    signals = Signals(rng.standard_normal((2, 4, 3)), np.full((2, 4), 2), member, aligned=True,
                      internals=rng.standard_normal((2, 4, len(INTERNALS))))  # fmt: skip
    without_labels = signals.without_labels
    assert (without_labels.labels == -1).all() and without_labels.internals is None
    np.testing.assert_array_equal(without_labels.logits, signals.logits)
    np.testing.assert_array_equal(without_labels.member, signals.member)
    assert (
        without_labels.statistics.phi != signals.statistics.phi
    ).any()  # not the statistics of those who know the class
    with pytest.raises(MiaError, match="no internals"):
        ATTACKS.get("gradient_norm")().fit(without_labels)
