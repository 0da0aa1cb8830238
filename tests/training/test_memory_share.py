"""How much of the free memory a stack takes."""

import pytest
from defenses.noisy_voices import toy

from mia_lib.defenses.base import Defense
from mia_lib.training import parts
from mia_lib.training.parts import bytes_per_model, train_in_parts


@pytest.mark.parametrize("models, calls", [(3.01, [3]), (2.99, [2, 1]), (1.01, [1, 1, 1]), (0.0, [1, 1, 1])])
def test_a_stack_takes_seven_tenths_of_what_is_free_and_a_part_has_no_more_models_than_fit(monkeypatch, models, calls):
    job, counted = toy(epochs=1), []

    class Counted(Defense):
        def objective(self, job):
            counted.append(len(job.train))
            return super().objective(job)

    monkeypatch.setattr(parts, "free_memory", lambda device: models * bytes_per_model(job) / 0.7)
    train_in_parts(Counted(), job)
    assert counted == calls
