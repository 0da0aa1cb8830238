"""Tasks for other processes of ours: as bytes, and the large arrays among them apart, each stored once for all."""

import io
import pickle
import threading
import warnings
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch

LARGE = 1 << 20  # bytes from which an array travels apart


def _array(value: object) -> np.ndarray | None:
    """The array behind a large array or tensor of this process's memory; None for everything else."""
    if isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.dtype != torch.bfloat16:
        value = value.detach().numpy()
    return value if isinstance(value, np.ndarray) and value.nbytes >= LARGE and not value.dtype.hasobject else None


class Store:
    """Large arrays by a key that `put` gives for each; one that is met again, in whichever task, is not put again."""

    def __init__(self, put: Callable[[np.ndarray], Hashable]):
        self._put, self._lock = put, threading.Lock()
        self._known: dict[tuple, tuple[np.ndarray, Hashable]] = {}  # holds the arrays: no address is used twice

    def key(self, array: np.ndarray) -> Hashable:
        """The key of an array, which is put where it is not yet."""
        place = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        with self._lock:
            if place not in self._known:
                self._known[place] = array, self._put(array)
            return self._known[place][1]


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, store: Store):
        super().__init__(file, protocol=5)
        self.store = store

    def persistent_id(self, value: object) -> tuple | None:
        array = _array(value)
        return None if array is None else (isinstance(value, torch.Tensor), self.store.key(array))


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, get: Callable[[Any], np.ndarray]):
        super().__init__(file)
        self.get = get

    def persistent_load(self, name: tuple) -> np.ndarray | torch.Tensor:
        tensor, key = name
        array = self.get(key)
        if not tensor:
            return array
        with warnings.catch_warnings():  # what several processes share is read only; nobody writes to it
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return torch.from_numpy(array)


def packed(task: object, store: Store) -> bytes:
    """A task as bytes; its large arrays and tensors are in the store."""
    file = io.BytesIO()
    _Packer(file, store).dump(task)
    return file.getvalue()


def unpacked(task: bytes, get: Callable[[Any], np.ndarray]) -> Any:
    """The task that `packed` made these bytes of, in a process of the same run; `get` gives the array of a key."""
    return _Unpacker(io.BytesIO(task), get).load()
