"""What `feature` of the settings names: a feature, or `encoder:NAME_OR_FILE`, the embeddings of a speaker encoder."""

import os
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from mia_lib.features.base import FEATURES
from mia_lib.features.encoders import ENCODERS
from mia_lib.features.foreign.encoder import FileEncoder
from mia_lib.features.foreign.models import file_of

ENCODED = "encoder:"


class Embeddings(nn.Module):
    """An encoder as a feature: one frame, whose bins are the dimensions of the embedding."""

    storage = torch.float32

    def __init__(self, encoder: str):
        super().__init__()
        self.encoder = FileEncoder(encoder) if _is_file(encoder) else ENCODERS.get(encoder)()

    def forward(self, waves: Tensor) -> Tensor:
        return self.encoder(waves)[:, None]


def _is_file(encoder: str) -> bool:
    """Whether a file is meant: names of encoders come first."""
    return encoder not in ENCODERS.names() and os.path.isfile(file_of(encoder))


def make_feature(name: str, hop: int, sample_rate: int = 16_000) -> nn.Module:
    """The feature of that name; raises UsageError for an unknown one, or for an encoder that cannot be had."""
    return Embeddings(name.removeprefix(ENCODED)) if name.startswith(ENCODED) else FEATURES.get(name)(hop, sample_rate)


def feature_kinds(name: str) -> list[object]:
    """What was looked up by name to make it, for keys of stages; raises UsageError for an unknown name."""
    if not name.startswith(ENCODED):
        return [FEATURES.get(name)]
    encoder = name.removeprefix(ENCODED)
    return [Embeddings] if _is_file(encoder) else [Embeddings, ENCODERS.get(encoder)]


def feature_params(name: str, hop: int) -> dict:
    """What decides its values beside code and sound, for keys of stages: of an encoder its weights, of others the hop."""
    if not name.startswith(ENCODED):
        return {"feature": name, "hop": hop}
    encoder = Embeddings(name.removeprefix(ENCODED)).encoder
    return {"encoder": type(encoder).__name__, "weights": encoder.fingerprint}


def absolute(name: str) -> str:
    """The name with the path of an encoder's file spelt out, so that it can be read from everywhere."""
    encoder = name.removeprefix(ENCODED)
    return (
        f"{ENCODED}{os.path.abspath(os.path.expanduser(encoder))}"
        if name.startswith(ENCODED) and _is_file(encoder)
        else name
    )


def stage_name(name: str) -> str:
    """The name as a part of a stage's."""
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(name).name)
