"""MemGuard (Jia et al., CCS 2019): noise on the posteriors against the defender's own membership classifier."""

import numpy as np
import torch
from scipy.special import expit

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.base import Answers
from mia_lib.defenses.membership_classifier import MembershipClassifier, fit_classifiers
from mia_lib.defenses.memguard_noise import classify, search
from mia_lib.defenses.posteriors import OutputDefense, given_out, log_posteriors, ranked, repeatable_draws
from mia_lib.errors import UsageError

LARGEST_C3 = 10.0  # three rounds of the search instead of the published seven
CHUNK_VALUES = 2_000_000  # posteriors that are searched at once, over all models: 16 MB in each array
PURPOSE = 23  # of the draws


def release_probability(before: np.ndarray, after: np.ndarray, noise: np.ndarray, budget: float) -> np.ndarray:
    """Probability of giving out the noisy posteriors, so that the expected distortion is at most the budget.

    before, after: the classifier's membership probability without and with noise. noise: sum of the absolute changes of
    the posteriors. 0 where the noise does not bring the classifier closer to 1/2 (equation 17 of the paper).
    """
    closer = np.abs(after - 0.5) < np.abs(before - 0.5)
    return np.where(closer, np.minimum(budget / np.where(closer, noise, 1.0), 1.0), 0.0)


def noisy_log_posteriors(g: MembershipClassifier, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log posteriors [models, n, classes] with noise, and g's membership probabilities [models, n] before and after it.

    g reads the posteriors sorted in ascending order, in the search too, as any attacker can.
    """
    order = ranked(logits)[..., ::-1]
    x = torch.from_numpy(np.take_along_axis(logits, order, -1).astype(np.float64))
    found, _ = search(g, x, resort=True, largest_c3=LARGEST_C3)
    before, after = (expit(classify(g, torch.softmax(z, -1), resort=True)[0].numpy()) for z in (x, found))
    noisy = np.empty(x.shape)
    np.put_along_axis(noisy, order, log_posteriors(found.numpy()), -1)
    return noisy, before, after


@DEFENSES.register("memguard")
class MemGuard(OutputDefense):
    """The least noise that leaves the defender's own membership classifier undecided, used as often as a budget allows.

    The strength is the budget: the expected sum of absolute changes of the posteriors. The classifiers learn from what
    the models say of their own training fragments and of reference fragments, never of audited ones. Noise is released by
    the classifier's reading of the sorted posteriors. Whether a fragment's noise is released is drawn once: asking again
    gives the same answer.
    """

    family = "obfuscation"
    strengths = (0.5, 1.0)
    default = 1.0
    bounds = (0.0, 2.0)
    needs_reference = True
    code = ("mia_lib.defenses.membership_classifier", "mia_lib.defenses.memguard_noise")

    def answer(self, answers: Answers) -> np.ndarray:
        job, logits = answers.job, np.asarray(answers.logits)
        if answers.own is None or job.reference is None:
            raise UsageError("memguard needs reference fragments, and what the models say of every fragment of the job")
        g = fit_classifiers(answers.own, job.train, job.reference, job.seeds)
        size = max(1, CHUNK_VALUES // (logits.shape[0] * logits.shape[2]))
        parts = [self._with_noise(g, logits[:, i : i + size], job.seeds) for i in range(0, logits.shape[1], size)]
        return np.concatenate(parts, axis=1)

    def _with_noise(self, g: MembershipClassifier, logits: np.ndarray, seeds) -> np.ndarray:
        noisy, before, after = noisy_log_posteriors(g, logits)
        plain = log_posteriors(logits)
        noise = np.abs(np.exp(noisy) - np.exp(plain)).sum(-1)
        draws = np.stack([repeatable_draws(z, int(seed), PURPOSE) for z, seed in zip(logits, seeds, strict=True)])
        released = draws < release_probability(before, after, noise, self.strength)
        return given_out(np.where(released[..., None], noisy, plain), logits)
