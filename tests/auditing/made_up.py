"""Saved signals that tests of the auditor make up: answers of a model that recognises voices, and its own recordings more."""

import numpy as np

SPEAKERS, EACH = 12, 10


def signals(seed=0, leak=0.0, references=0, speakers=SPEAKERS, each=EACH):
    """Named arrays, as they are saved: `speakers` classes with `each` recordings; `leak` is added to a member's right logit.

    With `references`, that many models whose members are coins of their own, and one that trained on nothing.
    """
    random = np.random.default_rng(seed)
    label = np.repeat(np.arange(speakers), each)
    n = len(label)
    voice, sound = 2 * random.standard_normal((speakers, speakers)), random.standard_normal((n, speakers))
    member = random.integers(0, 2, (references + 1, n))

    def answered(inside):
        logits = random.standard_normal((n, speakers)) + voice[label] + sound
        logits[np.arange(n), label] += 4 + leak * inside
        return logits

    arrays = dict(
        logits=answered(member[0]),
        label=label,
        member=member[0],
        speaker=np.array([f"s{i:02}" for i in label]),
        recording=np.array([f"r{i:03}" for i in range(n)]),
    )
    if references:
        arrays["reference_logits"] = np.stack([answered(inside) for inside in member[1:]])
        arrays["reference_member"] = member[1:]
        arrays["control"] = answered(0)
    return arrays


def save(path, arrays):
    """Write named arrays to .npz; returns the path."""
    np.savez(path, **arrays)
    return path
