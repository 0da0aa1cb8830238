"""Random draws: each purpose of a seed has a stream of its own, named in words where it is used.

No two purposes share a stream, and a new one disturbs none that there are; a test looks for names that are used twice.
"""

import zlib

import numpy as np


def entropy(seed: int, purpose: str, *place: int) -> list[int]:
    """What NumPy seeds a stream with: the seed, the purpose, and which of the purpose's own streams (a model, an epoch)."""
    return [int(seed), zlib.crc32(purpose.encode()), *map(int, place)]


def generator(seed: int, purpose: str, *place: int) -> np.random.Generator:
    """The stream of one purpose of a seed."""
    return np.random.default_rng(entropy(seed, purpose, *place))


def seeds(seed: int, purpose: str, count: int, *place: int) -> list[int]:
    """`count` seeds of 32 bits for what is seeded by itself, such as models; a larger count begins with the same ones."""
    return [int(word) for word in np.random.SeedSequence(entropy(seed, purpose, *place)).generate_state(count)]
