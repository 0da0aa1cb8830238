"""Resemblyzer's voice encoder (Apache-2.0), with the weights that its wheel on PyPI carries; none of its code is run.

An LSTM trained with the generalised end-to-end loss (Wan et al., ICASSP 2018) on 1.6 s at a time.
"""

from importlib.util import find_spec
from math import ceil
from pathlib import Path
from pickle import UnpicklingError

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from mia_lib.features.encoders.base import ENCODERS
from mia_lib.support.digests import file_digest
from mia_lib.support.errors import UsageError

RATE, STEP, WINDOW, BANDS, SIZE = (
    16_000,
    160,
    400,
    40,
    256,
)  # samples per second, step and window; mel bands; hidden units
PART, HOP = 160, 77  # frames that are heard at once, and from the start of one part to the next: 1.3 starts a second
COVERAGE = 0.75  # of a part at the end must be sound
LEVEL = 10 ** (-30 / 20)  # root mean square to which quieter sound is raised: -30 dB


def weights() -> Path:
    """The file of weights in the installed package, which is not imported; raises UsageError where there is none."""
    package = find_spec("resemblyzer")
    file = Path(package.origin).with_name("pretrained.pt") if package and package.origin else None
    if file is None or not file.is_file():
        raise UsageError(
            "the encoder 'resemblyzer' needs the weights in its package: pip install resemblyzer (or, where what that "
            "package needs to run does not install, pip install --no-deps resemblyzer)"
        )
    return file


def _load(file: Path, layers: dict[str, nn.Module]) -> None:
    """Read the weights of layers, by the beginning of their names in the file; nothing is unpickled but tensors."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)["model_state"]
        for start, layer in layers.items():
            layer.load_state_dict({name.removeprefix(start): w for name, w in state.items() if name.startswith(start)})
    except (OSError, LookupError, TypeError, AttributeError, RuntimeError, UnpicklingError) as error:
        raise UsageError(
            f"{file}: does not hold Resemblyzer's weights: install the package resemblyzer anew"
        ) from error


def part_starts(samples: int) -> list[int]:
    """The first frame of each part of a sound of so many samples, as Resemblyzer cuts it (`compute_partial_slices`)."""
    frames = ceil((samples + 1) / STEP)
    starts = list(range(0, max(1, frames - PART + HOP + 1), HOP))
    covered = (samples - starts[-1] * STEP) / (PART * STEP)
    return starts[:-1] if covered < COVERAGE and len(starts) > 1 else starts


@ENCODERS.register("resemblyzer")
class Resemblyzer(nn.Module):
    """Resemblyzer 0.1.4: 40 mel bands, LSTM 3 x 256, 256 dimensions, mean of parts of 1.6 s (Wan et al., ICASSP 2018)."""

    def __init__(self):
        super().__init__()
        file = weights()
        self.fingerprint = file_digest(file)
        self.mel = torchaudio.transforms.MelSpectrogram(
            RATE, WINDOW, hop_length=STEP, n_mels=BANDS, norm="slaney", mel_scale="slaney", pad_mode="constant"
        )
        self.lstm, self.linear = nn.LSTM(BANDS, SIZE, 3, batch_first=True), nn.Linear(SIZE, SIZE)
        _load(file, {"lstm.": self.lstm, "linear.": self.linear})
        self.eval().requires_grad_(False)

    def forward(self, waves: Tensor) -> Tensor:
        """Embeddings [B, 256] of length 1 of waveforms [B, T]; quiet ones are raised, silence in them is not cut out."""
        starts = part_starts(waves.shape[1])
        level = waves.square().mean(1, keepdim=True).sqrt()
        waves = waves * (LEVEL / level.clamp_min(1e-10)).clamp_min(1.0)
        waves = pad(waves, (0, max(0, (starts[-1] + PART) * STEP - waves.shape[1])))
        frames = self.mel(waves).transpose(1, 2)  # [B, frames, bands]
        parts = torch.stack([frames[:, start : start + PART] for start in starts], dim=1)
        _, (hidden, _) = self.lstm(parts.flatten(0, 1))
        embeddings = normalize(self.linear(hidden[-1]).relu(), dim=1)
        return normalize(embeddings.unflatten(0, parts.shape[:2]).mean(1), dim=1)
