"""Models that stumble over one recording."""

import os
import time

import numpy as np
from voices import bands

MARKED = 0.9
"""A recording with a sample of this size is one that models here stumble over."""


def marked(waves):
    return np.abs(waves).max() > MARKED - 0.01


def crashes(waves):
    """Raises on the marked recording."""
    if marked(waves):
        raise ValueError("I do not like\nthis one")
    return bands(waves)


def dies(waves):
    """Takes its process with it on the marked recording."""
    if marked(waves):
        os._exit(11)
    return bands(waves)


def hangs(waves):
    """Does not come back from the marked recording."""
    while marked(waves):
        time.sleep(0.05)
    return bands(waves)


def chatters(waves):
    """Prints where answers are expected."""
    print("answering", len(waves))
    return bands(waves)
