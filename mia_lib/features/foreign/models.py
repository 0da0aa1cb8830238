"""Somebody's model as a function from waveforms to answers, whatever it was saved as. Nothing is ever unpickled.

TorchScript, and a function by name, run code of whoever made them; ONNX and exported programs hold operations only.
"""

import importlib
import os
import re
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mia_lib.features.encoders import ENCODERS
from mia_lib.support.errors import MiaError, UsageError

FORMS = "a file of ONNX, torch.export or TorchScript, package.module:function, or an encoder that `list` names"
EXPORT = (
    "load it in your own program and export it there: torch.export.save(torch.export.export(model.eval(), "
    "(torch.zeros(2, 48000),), dynamic_shapes=[{0: torch.export.Dim.AUTO}]), 'model.pt2')"
)
NAMED = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")
PICKLES = {".pkl", ".pickle", ".joblib", ".dill", ".pth", ".ckpt", ".bin"}

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Model:
    """A model that can be asked. name: as it was given. function: from float32 [B, T] at 16 kHz to what it answers with.

    batch, samples: the only B and T that it takes, None where it does not say.
    """

    name: str
    function: Function
    batch: int | None = None
    samples: int | None = None

    def __call__(self, waves: np.ndarray) -> np.ndarray:
        """Its answers to waveforms, float32 [B, T] in [-1, 1] at 16 kHz, as an array. Raises MiaError for several outputs."""
        return plain(self.function(waves), self.name)


def plain(answer: Any, name: str) -> np.ndarray:
    """What a model gave as an array of floats; raises MiaError where it is not one array of numbers."""
    if isinstance(answer, tuple | dict):
        raise MiaError(f"the model {name} gives {len(answer)} outputs at once: return only the one to be audited")
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
        answer = (answer.double() if str(answer.dtype) == "torch.float64" else answer.float()).numpy()
    try:
        array = np.asarray(answer)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise MiaError(f"the model {name} does not answer with one array of numbers, but with {type(answer).__name__}")
    return np.ascontiguousarray(array, np.float64 if array.dtype == np.float64 else np.float32)


def load_model(name: str, device: str = "cpu") -> Model:
    """The model called `name`: a file (see `load_file`), package.module:function, or the name of an encoder.

    device: `cpu`, `cuda` or `cuda:N`. Raises UsageError where there is no such model, and MiaError, one sentence, where it
    cannot be loaded, or only by unpickling it.
    """
    if os.path.isfile(file_of(name)):
        return load_file(name, device)
    if os.path.isdir(name):
        raise UsageError(f"the model {name} is a folder: give {FORMS}")
    if name in ENCODERS.names():
        return of_function(ENCODERS.get(name)(), name, device)
    if NAMED.fullmatch(name):
        return of_function(named(name), name, device)
    raise UsageError(f"there is no model {name!r}: give {FORMS}")


def file_of(name: str) -> str:
    """The file that FILE.onnx:OUTPUT or FILE names."""
    file, _, _output = name.rpartition(":")
    return file if file.lower().endswith(".onnx") else name


def load_file(name: str, device: str = "cpu") -> Model:
    """The model of FILE.onnx or FILE.onnx:OUTPUT, or of a file of an exported program or TorchScript.

    Raises MiaError, one sentence, where it cannot be loaded, or only by unpickling it.
    """
    file = Path(file_of(name))
    return LOADERS[_form(file)](name, file, name[len(str(file)) + 1 :], device)


def named(name: str) -> Any:
    """What package.module:function names, looked for in the current folder too; raises UsageError if there is none."""
    module, _, path = name.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = f" ({error.name} is missing)" if error.name != module else ""
        raise UsageError(f"{name}: there is no module {module!r} here or on Python's path{missing}") from None
    except Exception as error:
        raise MiaError(f"{name}: importing {module!r} fails with {one_line(error)}") from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{name}: {module!r} holds no {path!r}")
        found = getattr(found, part)
    return found


def of_function(function: Any, name: str = "", device: str = "cpu") -> Model:
    """A model of what can be called: a torch module is put into evaluation mode and given tensors, all else arrays."""
    name = name or getattr(function, "__name__", type(function).__name__)
    if isinstance(function, type) or not callable(function):
        what = "a class: name a function, or an object made of it" if isinstance(function, type) else "not a function"
        raise UsageError(f"the model {name} is {what}, from waveforms float32 [B, T] to answers [B, C]")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(function, torch.nn.Module):
        return _of_torch(name, function.eval().to(device), device)
    return Model(name, function)


def one_line(error: BaseException) -> str:
    """An exception in a few words of one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:300]}" if words else type(error).__name__


def _form(path: Path) -> str:
    """What a file holds: a key of LOADERS. Raises MiaError for pickles and whatever else is no model."""
    try:
        with open(path, "rb") as file:
            head = file.read(2)
        names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    except OSError as error:
        raise MiaError(f"{path}: cannot be read ({error.strerror})") from None
    except zipfile.BadZipFile:
        names = []
    inside = {name.partition("/")[2] for name in names} | set(names)
    if any(name.startswith("code/") for name in inside):
        return "script"
    if inside & {"archive_format", "serialized_exported_program.json"}:
        return "exported"
    pickled = "data.pkl" in inside or (head[:1] == b"\x80" and head[1:2] <= b"\x05")
    if pickled or (path.suffix.lower() in PICKLES and not names):
        raise MiaError(f"{path}: is a pickle, which runs whatever code it holds and is not loaded: {EXPORT}")
    if path.suffix.lower() == ".onnx":
        return "onnx"
    raise MiaError(f"{path}: is no model that can be loaded: give {FORMS}")


def _onnx(name: str, path: Path, output: str, device: str) -> Model:
    from mia_lib.features.foreign.onnx_models import load_onnx

    function, batch, samples = load_onnx(path, output, device)
    return Model(name, function, batch, samples)


def _script(name: str, path: Path, _output: str, device: str) -> Model:
    import torch

    try:
        module = torch.jit.load(str(path), map_location=device).eval()
    except Exception as error:
        raise MiaError(f"{path}: cannot be loaded as TorchScript ({one_line(error)})") from error
    return _of_torch(name, module, device)


def _exported(name: str, path: Path, _output: str, device: str) -> Model:
    from mia_lib.features.foreign.exported import load_exported

    module, batch, samples = load_exported(path, device)
    return _of_torch(name, module, device, batch, samples)


def _of_torch(name: str, module: Any, device: str, batch: int | None = None, samples: int | None = None) -> Model:
    import torch

    def function(waves: np.ndarray) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(np.ascontiguousarray(waves)).to(device))

    return Model(name, function, batch, samples)


LOADERS = {"onnx": _onnx, "script": _script, "exported": _exported}
