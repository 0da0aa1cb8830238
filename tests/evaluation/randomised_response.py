"""A mechanism whose epsilon is known, answering for recordings of several fragments on several models.

Randomised response says honestly with chance e^epsilon / (1 + e^epsilon) whether a recording is a member. Its fragments hear
that answer, or noise. Models share their lies with a chance.
"""

import numpy as np

from mia_lib.evaluation.audit import Audit

SETTINGS = {  # fragments a recording, models, share of common lies, share of fragments that hear the answer
    "one fragment a recording": (1, 1, 0.0, 1.0),
    "three fragments": (3, 1, 0.0, 1.0),
    "three fragments, noise": (3, 1, 0.0, 0.8),
    "ten fragments": (10, 1, 0.0, 1.0),
    "ten fragments, noise": (10, 1, 0.0, 0.8),
    "nine models, none shared": (1, 9, 0.0, 1.0),
    "nine models, half shared": (1, 9, 0.5, 1.0),
    "nine models, all shared": (1, 9, 1.0, 1.0),
    "nine models, half shared, three fragments": (3, 9, 0.5, 1.0),
}


def randomised_response(rng: np.random.Generator, epsilon: float, recordings: int, setting: tuple) -> list[Audit]:
    """Audits of every model in one draw of memberships and lies."""
    fragments, models, shared, heard = setting
    lie, audits = 1 / (1 + np.exp(epsilon)), []
    common = rng.random(recordings) < lie
    clusters = np.repeat(np.arange(recordings), fragments).astype(str)
    for _ in range(models):
        member = rng.random(recordings) < 0.5
        lies = np.where(rng.random(recordings) < shared, common, rng.random(recordings) < lie)
        answer = np.repeat(member ^ lies, fragments)
        guesses = np.where(rng.random(len(answer)) < heard, answer, rng.random(len(answer)) < 0.5)
        rows = np.arange(len(answer))
        audits.append(Audit(guesses.astype(float), np.repeat(member, fragments), clusters, 0.5, rows))
    return audits
