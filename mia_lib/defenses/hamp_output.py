"""HAMP's change of outputs (Chen and Pattabiraman, NDSS 2024): only the order of the speakers is the model's answer."""

import numpy as np
import torch

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Answers
from mia_lib.defenses.output import OutputDefense, given_out, ranked, repeatable_draws
from mia_lib.signals.statistics import log_posteriors
from mia_lib.support.device import at_once
from mia_lib.support.draws import generator
from mia_lib.training.job import Job
from mia_lib.training.trained import TrainedModels

POOL = 256  # random inputs that each model answers; every fragment is given the values of one of them


def rearranged(values: np.ndarray, order_of: np.ndarray) -> np.ndarray:
    """The values [..., classes] placed so that they rank as those of `order_of`; of equal ones the lowest index is first."""
    out = np.empty_like(values)
    np.put_along_axis(out, ranked(order_of), -np.sort(-values, axis=-1), -1)
    return out


@torch.no_grad()
def random_answers(models: TrainedModels, job: Job, count: int) -> np.ndarray:
    """Logits of every model on random inputs of its own, float32 [models, count, classes].

    The features of the inputs are independent and normal, with the means and deviations that the model normalises by.
    """
    network, device = models.network.to(job.device), job.device
    frames, bins = network.frames, network.bins
    mean, scale = network.mean[:, None, None], network.scale[:, None, None]
    generators = [generator(seed, "random inputs of HAMP") for seed in job.seeds]
    size = at_once(len(generators) * frames * bins, device)
    parts = []
    for start in range(0, count, size):
        shape = (min(size, count - start), frames, bins)
        noise = np.stack([generator.standard_normal(shape, dtype=np.float32) for generator in generators])
        parts.append(network(torch.from_numpy(noise).to(device, mean.dtype) * scale + mean).float().cpu().numpy())
    return np.concatenate(parts, axis=1)


@DEFENSES.register("hamp_output")
class HampOutput(OutputDefense):
    """The numbers of an answer are those of the same model's answer to a random input, in the order of the original ones.

    Which of `POOL` random inputs is used is drawn for each fragment, from what the model says of that fragment alone.
    """

    family = "obfuscation"

    def answer(self, answers: Answers) -> np.ndarray:
        out = np.empty(answers.logits.shape, dtype=np.float32)
        pools = random_answers(answers.models, answers.job, POOL)
        for k, (pool, z, seed) in enumerate(zip(pools, answers.logits, answers.job.seeds, strict=True)):
            chosen = (repeatable_draws(z, seed, "answers of HAMP") * POOL).astype(int)
            out[k] = given_out(log_posteriors(rearranged(pool[chosen], z)), z)
        return out
