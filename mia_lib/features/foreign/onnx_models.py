"""ONNX files, run by onnxruntime (the extra `onnx`)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mia_lib.support import limits
from mia_lib.support.errors import MiaError, UsageError

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def load_onnx(
    path: Path, output: str = "", device: str = "cpu"
) -> tuple[Callable[[np.ndarray], np.ndarray], int | None, int | None]:
    """A function from waveforms float32 [B, T] to one output of an ONNX file, and the only B and T that it takes, if any.

    Raises UsageError where the file has several outputs and `output` names none of them, and MiaError where the file cannot
    be loaded or does not take waveforms alone.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MiaError(f"{path}: ONNX needs the package onnxruntime: pip install 'mia-lib[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = limits.cores(), 4
    wanted = (
        ["CUDAExecutionProvider", "CPUExecutionProvider"] if device.startswith("cuda") else ["CPUExecutionProvider"]
    )
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # onnxruntime's have no class in common
        raise MiaError(f"{path}: cannot be loaded as ONNX ({' '.join(str(error).split())[:300]})") from error
    name, dtype, batch, samples = _input(session, path)
    answer = _output(session, path, output)
    return lambda waves: session.run([answer], {name: waves.astype(dtype, copy=False)})[0], batch, samples


def _input(session, path: Path) -> tuple[str, type, int | None, int | None]:
    """Name and type of the one input, and the sizes of its axes where they are fixed."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs)
        raise MiaError(f"{path}: takes {len(inputs)} inputs ({names}): export it with waveforms [B, T] as its only one")
    only = inputs[0]
    if len(only.shape) != 2 or only.type not in TYPES:
        shape = ", ".join(map(str, only.shape))
        raise MiaError(
            f"{path}: its input {only.name!r} is {only.type} [{shape}]: it must take waveforms, float [B, T] at 16 kHz, so "
            "export it with its front end, or name a function that computes what it takes"
        )
    batch, samples = (size if isinstance(size, int) else None for size in only.shape)
    return only.name, TYPES[only.type], batch, samples


def _output(session, path: Path, output: str) -> str:
    names = [one.name for one in session.get_outputs()]
    if output and output not in names:
        raise UsageError(f"{path}: has no output {output!r}: choose one of {', '.join(names)}")
    if not output and len(names) > 1:
        raise UsageError(
            f"{path}: has several outputs: say which, as in {path.name}:{names[0]} (of {', '.join(names)})"
        )
    return output or names[0]
