"""Training recipes of somebody who knows scikit-learn and nothing of ours."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from faulty import marked
from sklearn.ensemble import RandomForestClassifier
from voices import bands

LOG = "RECIPE_LOG"
"""Environment variable that names a file to which each training adds its seed."""

DIES = "RECIPE_DIES"
"""Environment variable that names a file which is there once a training has ended its process."""


def pieces(recordings, labels):
    """Levels of bands of half seconds, and whose they are."""
    cut = [recording[: 8000 * (len(recording) // 8000)].reshape(-1, 8000) for recording in recordings]
    return bands(np.concatenate(cut)), np.repeat(labels, [len(one) for one in cut])


def forest(recordings, labels, seed):
    """A forest that learns its recordings by heart."""
    if LOG in os.environ:
        with open(os.environ[LOG], "a") as file:
            file.write(f"{seed}\n")
    model = RandomForestClassifier(25, bootstrap=False, random_state=seed % 2**31).fit(*pieces(recordings, labels))

    def answer(waves):
        found = np.zeros((len(waves), len(recordings.classes)))
        found[:, model.classes_] = model.predict_proba(bands(waves))
        return found

    return answer


def narrow(recordings, labels, seed):
    """Answers for a class too few."""
    return lambda waves: forest(recordings, labels, seed)(waves)[:, 1:]


def fails_once(recordings, labels, seed):
    """Fails in its third training, the first time."""
    path = Path(os.environ[LOG])
    if path.exists() and len(path.read_text().split()) == 2 and not path.with_suffix(".failed").exists():
        path.with_suffix(".failed").touch()
        raise RuntimeError("the power\nwent out")
    return forest(recordings, labels, seed)


def forest_that_dies_once(recordings, labels, seed):
    """Ends its process, the first time."""
    path = Path(os.environ[DIES])
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return forest(recordings, labels, seed)


def forest_that_hangs(recordings, labels, seed):
    """Its models take seconds over the marked recording."""
    answer = forest(recordings, labels, seed)

    def hangs(waves):
        time.sleep(3 * marked(waves))
        return answer(waves)

    return hangs
