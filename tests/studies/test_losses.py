"""What a threshold on the loss could tell."""

import numpy as np
import pytest

from mia_lib.studies.losses import told_by_loss


def test_losses_are_told_by_their_order_not_by_their_medians():
    assert told_by_loss(np.array([1e-9, 1e-8]), np.array([0.1, 3.0])) == 1
    assert told_by_loss(np.array([0.1, 0.4]), np.array([0.2, 0.3])) == 0.5
    far = np.array([0.0, 0.0, 1e-9]), np.array([0.0, 1e-9, 1e-9])  # medians lie any number of times apart
    assert told_by_loss(*far) == pytest.approx(6 / 9)
