"""Early stopping: what is repeated less often is remembered less well."""

from dataclasses import replace

import numpy as np

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Defense
from mia_lib.training.job import Job


@DEFENSES.register("early_stopping")
class EarlyStopping(Defense):
    """Training for a share `strength` of the epochs, at least one; 1 is plain training.

    A learning rate that falls to zero does so within the epochs that are left.
    """

    family = "regularisation"
    strengths = (0.5, 0.3, 0.1)
    default = 0.5
    cost = 0.6
    bounds = (0.01, 1.0)
    trains = True

    def changed(self, job: Job) -> Job:
        shares = self.strength_of(job).cpu().numpy()
        epochs = np.maximum(1, np.rint(shares * job.config.epochs)).astype(int).tolist()
        return replace(job, config=replace(job.config, epochs=tuple(epochs)))
