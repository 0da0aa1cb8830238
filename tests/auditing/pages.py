"""Audits whose pages tests look at: made-up answers, with sound, coins and names that try to be markup."""

from dataclasses import replace

import numpy as np
from made_up import signals
from voices import voice, write

from mia_lib.auditing.columns import evidence_of

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>&amp;\''
LONG = "x" * 300
ATTACKS = ["entropy", "gap", "loss"]


def with_sound(folder, confounded=False, **more):
    """Evidence on recordings of which one speaker is called HOSTILE and one LONG, each with a file of its own.

    confounded: statistics of the sound tell members from others.
    """
    arrays = signals(leak=3.0)
    names = {"s03": HOSTILE, "s04": LONG}
    arrays["speaker"] = np.array([names.get(name, name) for name in arrays["speaker"]])
    arrays["recording"] = np.array([f"<b>{name}</b>" for name in arrays["recording"]])
    noise = np.random.default_rng(0).standard_normal((len(arrays["label"]), 3))
    arrays["blind"] = noise + 5 * confounded * arrays["member"][:, None]
    sound = [write(folder / f"{i}.wav", voice(i % 5, i, seconds=0.3)) for i in range(len(arrays["label"]))]
    return replace(evidence_of(arrays, f"{HOSTILE}.onnx"), sound=np.array([str(path) for path in sound]), **more)


def of_persons(seed=0):
    """Evidence on 24 persons, half of them members: embeddings, which lie closer together for members."""
    random = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(24), 5)
    spread = np.where(speaker % 2, 0.3, 1.0)[:, None]
    voices = random.standard_normal((24, 8))[speaker]
    arrays = dict(
        embeddings=voices + spread * random.standard_normal((len(speaker), 8)),
        member=speaker % 2,
        speaker=np.array([f"person {i}" for i in speaker]),
        recording=np.array([f"r{i}" for i in range(len(speaker))]),
    )
    return evidence_of(arrays, "encoder")
