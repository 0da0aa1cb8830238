"""Teachers that are kept beside a checkpoint serve the run that they were trained for, and no other."""

from dataclasses import replace

import pytest
import torch
from defenses.noisy_voices import toy

from mia_lib.defenses.distillation import Distillation
from mia_lib.training.recipe import train_defended


@pytest.mark.parametrize("change", ["fragments", "seeds", "temperature", "precision", "epochs"])
def test_teachers_of_another_run_are_not_taken(tmp_path, change):
    job, defense = toy((3, 4), n=16, epochs=1), Distillation(2.0)
    train_defended(defense, replace(job, checkpoint=tmp_path / "checkpoint.safetensors"))
    if change == "fragments":
        job = replace(job, train=job.reference, reference=job.train)
    elif change == "seeds":
        job = replace(job, seeds=[7, 8])
    elif change == "temperature":
        defense = Distillation(3.0)
    elif change == "precision":
        job = replace(job, dtype=torch.float32)
    else:
        job = replace(job, config=replace(job.config, epochs=2))
    kept = train_defended(defense, replace(job, checkpoint=tmp_path / "checkpoint.safetensors")).network.state_dict()
    for name, value in train_defended(defense, job).network.state_dict().items():
        torch.testing.assert_close(kept[name], value)
    assert len(list(tmp_path.glob("teachers-*"))) == 2
