"""An encoder of anybody's making as a torch module, from a file that `load_file` reads."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mia_lib.features.foreign.models import Model, file_of, load_file, one_line
from mia_lib.support.digests import file_digest
from mia_lib.support.errors import MiaError, UsageError


class FileEncoder(nn.Module):
    """The encoder in a file, which answers on the CPU. Raises UsageError where the file holds none."""

    def __init__(self, name: str):
        super().__init__()
        try:
            self.model = load_file(name)
        except MiaError as error:
            raise UsageError(f"encoder {error}") from error
        file = file_of(name)
        self.fingerprint = file_digest(Path(file)) + name.removeprefix(file)  # which output of it, if that is said

    def forward(self, waves: Tensor) -> Tensor:
        """Embeddings float32 [B, D] of waveforms [B, T]."""
        samples = self.model.samples
        if samples not in (None, waves.shape[1]):
            raise UsageError(
                f"the encoder {self.model.name} takes {samples} samples at a time, not {waves.shape[1]}: use "
                f"fragment_seconds={samples / 16_000:g}"
            )
        return torch.from_numpy(embeddings(self.model, waves.cpu().numpy())).to(waves.device)


def embeddings(model: Model, waves: np.ndarray) -> np.ndarray:
    """Answers float32 [B, D] to waveforms [B, T], asked in batches of the size that the model takes, if it takes one only.

    Raises UsageError where it fails, or gives something else than one row of numbers for each.
    """
    size, found = model.batch or len(waves), []
    for start in range(0, len(waves), size):
        asked = waves[start : start + size]
        try:
            answer = model(np.resize(asked, (size, waves.shape[1])))
        except MiaError as error:
            raise UsageError(str(error)) from error
        except Exception as error:
            raise UsageError(f"the encoder {model.name} does not answer: {one_line(error)}") from error
        if answer.ndim != 2 or len(answer) != size or not np.isfinite(answer).all():
            raise UsageError(
                f"the encoder {model.name} answers {size} fragments with an array of shape {list(answer.shape)}: it must "
                f"give one row of finite numbers for each, [{size}, D]"
            )
        found.append(answer[: len(asked)].astype(np.float32))
    return np.concatenate(found)
