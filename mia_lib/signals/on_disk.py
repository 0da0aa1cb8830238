"""Answers that are too large for memory: statistics of them were kept, and the answers themselves are read no more."""

import numpy as np

from mia_lib.support.errors import MiaError

REFUSED = "needs all answers at once, and these are too large for memory: they were read block by block"


class OnDisk:
    """Stands for logits [K, N, C]: has their shape and can be divided, and whoever asks for one of them is refused."""

    ndim = 3

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: tuple) -> "OnDisk":
        sizes = [np.arange(size)[part].size for size, part in zip(self.shape, index, strict=False)]
        return OnDisk((*sizes, self.shape[-1]))

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        raise MiaError(REFUSED)

    def __array__(self, *_, **__):
        raise MiaError(REFUSED)

    def __iter__(self):
        raise MiaError(REFUSED)
