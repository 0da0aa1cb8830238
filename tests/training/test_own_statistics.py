"""Features are standardised by what each model trains on, and by nothing else."""

import torch
from test_bookkeeping import small

from mia_lib.training.objective import Objective
from mia_lib.training.train import train_job


def test_each_model_standardises_by_its_own_training_fragments():
    job = small()
    network = train_job(job, Objective()).network
    for k, own in enumerate(job.train):
        values = job.features[own].flatten(0, 1)
        torch.testing.assert_close(network.mean[k], values.mean(0).to(network.mean))
        torch.testing.assert_close(network.scale[k], values.std(0, unbiased=False).to(network.scale))
