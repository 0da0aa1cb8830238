"""What passes between a model's own process and ours: a line of JSON, and the bytes of an array after it."""

import json
from typing import IO

import numpy as np


def send(stream: IO[bytes], array: np.ndarray | None = None, **about) -> None:
    """Write an array, or none, with what is to be said of it."""
    if array is not None:
        about |= {"dtype": array.dtype.str, "shape": array.shape}
    stream.write(json.dumps(about).encode() + b"\n")
    if array is not None:
        stream.write(array.tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict, np.ndarray | None]:
    """What `send` wrote; raises EOFError where the other side has ended."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    about = json.loads(line)
    if "dtype" not in about:
        return about, None
    dtype, shape = np.dtype(about["dtype"]), about["shape"]
    data = stream.read(dtype.itemsize * int(np.prod(shape)))
    if len(data) < dtype.itemsize * int(np.prod(shape)):
        raise EOFError
    return about, np.frombuffer(data, dtype).reshape(shape)
