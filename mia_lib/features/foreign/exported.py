"""Programs saved by `torch.export.save`, read without unpickling anything.

torch itself falls back to unpickling sample inputs, constants and weights of an archive; here it must not. Archives may also
carry compiled libraries, which would be loaded as they are: such archives are refused.
"""

import zipfile
from pathlib import Path
from typing import Any

from mia_lib.support.errors import MiaError
from mia_lib.support.variables import variable

ALWAYS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""The environment variable by which torch never loads more than tensors, whatever its own code asks for."""


def load_exported(path: Path, device: str = "cpu") -> tuple[Any, int | None, int | None]:
    """The module of an exported program on a device, and the only B and T of its input [B, T], None where it takes any.

    Raises MiaError where it holds compiled code, needs unpickling, or does not take waveforms [B, T] alone.
    """
    import torch

    with zipfile.ZipFile(path) as archive:
        if any("aotinductor" in name for name in archive.namelist()):
            raise MiaError(f"{path}: holds compiled code, which is not loaded: save the exported program itself")
    try:
        with variable(ALWAYS, "1"):
            program = torch.export.load(str(path))
    except Exception as error:
        words = " ".join(str(error).split())[:300]
        if "weights only" in words.lower():
            raise MiaError(f"{path}: holds a pickle beside its tensors, which is not loaded: export it anew") from error
        raise MiaError(f"{path}: cannot be loaded as an exported program ({words})") from error
    batch, samples = _sizes(program, path)
    return _moved(program, device).module(), batch, samples


def _sizes(program, path: Path) -> list[int | None]:
    """B and T where the program was exported for one size of them only."""
    names = program.graph_signature.user_inputs
    inputs = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(inputs) != 1 or getattr(inputs[0], "ndim", 0) != 2:
        shapes = ", ".join(str(list(getattr(one, "shape", ()))) for one in inputs)
        raise MiaError(
            f"{path}: takes {shapes or 'nothing'}: export it with waveforms float32 [B, T] as its only input"
        )
    return [size if isinstance(size, int) else None for size in inputs[0].shape]


def _moved(program, device: str):
    if device == "cpu":
        return program
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(program, device)
