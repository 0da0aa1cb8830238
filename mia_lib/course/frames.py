"""How the judge and a submission's process talk: numbers and text in frames, so that nothing that is read can run or grow.

A frame is four bytes with its length, four with that of its head, the head (JSON), and the bytes of the arrays that the head
names. Only arrays of numbers, truth values and text pass.
"""

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

LARGEST = 64 * 2**20
"""Bytes of a frame."""
KINDS = "biufU"


class BadFrame(ValueError):
    """What came is no frame; the message says why."""


def pack(message: Any) -> bytes:
    """A frame with a tree of dictionaries, lists and tuples whose leaves are arrays, numbers, text or None.

    Raises BadFrame for a leaf of another kind, and where the frame would be too large.
    """
    arrays: list[np.ndarray] = []

    def plain(value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, dict):
            return {"map": {str(name): plain(v) for name, v in value.items()}}
        if isinstance(value, list | tuple):
            return {"list": [plain(v) for v in value]}
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        if array.dtype.kind not in KINDS:
            kind = f"an array of {array.dtype}" if isinstance(value, np.ndarray) else f"of type {type(value).__name__}"
            raise BadFrame(f"an answer that is {kind} holds no plain numbers")
        arrays.append(array.astype(array.dtype.newbyteorder("<")))
        return {"array": len(arrays) - 1}

    tree = plain(message)
    if sum(array.nbytes for array in arrays) > LARGEST // 2:
        raise BadFrame(f"an answer of more than {LARGEST // 2**21} MB is too large")
    head = json.dumps({"tree": tree, "arrays": [[a.dtype.str, list(a.shape)] for a in arrays]}).encode()
    body = struct.pack("<I", len(head)) + head + b"".join(array.tobytes() for array in arrays)
    if len(body) > LARGEST:
        raise BadFrame("the answer is too large")
    return struct.pack("<I", len(body)) + body


def read_frame(read: Callable[[int], bytes]) -> Any:
    """The next message of a stream whose `read(n)` gives n bytes, fewer at its end; EOFError where it ended.

    Raises BadFrame for anything that `pack` does not write.
    """
    (length,) = struct.unpack("<I", _exactly(read, 4))
    if not 4 <= length <= LARGEST:
        raise BadFrame(f"a frame of {length} bytes")
    return unpacked(_exactly(read, length))


def answered(function: Callable, arguments: tuple) -> dict:
    """What a function gives, as `value`, and whether it `changed` an argument."""
    before = pack(arguments)
    value = function(*arguments)
    return {"value": value, "changed": pack(arguments) != before}


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    found = read(count)
    if len(found) < count:
        raise EOFError
    return found


def unpacked(body: bytes) -> Any:
    """The message of a frame without its length."""
    try:
        (length,) = struct.unpack_from("<I", body)
        head, position, arrays = json.loads(body[4 : 4 + length]), 4 + length, []
        for kind, shape in head["arrays"]:
            dtype = np.dtype(kind)
            if dtype.kind not in KINDS or not all(isinstance(side, int) and side >= 0 for side in shape):
                raise BadFrame(f"an array of {kind} and shape {shape}")
            size = dtype.itemsize * _product(shape)
            piece = body[position : position + size]
            arrays.append((np.frombuffer(piece, dtype) if size else np.empty(0, dtype)).reshape(shape).copy())
            position += size
        return _grown(head["tree"], arrays)
    except BadFrame:
        raise
    except (KeyError, IndexError, TypeError, ValueError, struct.error, RecursionError, AttributeError) as error:
        raise BadFrame(str(error)) from None


def _product(shape: list[int]) -> int:
    total = 1
    for side in shape:
        total *= side
    return total


def _grown(tree: Any, arrays: list[np.ndarray]) -> Any:
    if not isinstance(tree, dict):
        if isinstance(tree, list):
            raise BadFrame("a list that is not marked as one")
        return tree.encode(errors="replace").decode() if isinstance(tree, str) else tree
    if "array" in tree:
        return arrays[tree["array"]]
    if "list" in tree:
        return [_grown(value, arrays) for value in tree["list"]]
    return {name: _grown(value, arrays) for name, value in tree["map"].items()}
