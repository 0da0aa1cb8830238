"""What `feature` of the settings names: a feature, or `encoder:NAME`, the embeddings of a speaker encoder."""

import torch
from torch import Tensor, nn

from mia_lib.features.base import FEATURES
from mia_lib.features.encoders import ENCODERS

ENCODED = "encoder:"


class Embeddings(nn.Module):
    """An encoder as a feature: one frame, whose bins are the dimensions of the embedding."""

    storage = torch.float32

    def __init__(self, encoder: str):
        super().__init__()
        self.encoder = ENCODERS.get(encoder)()

    def forward(self, waves: Tensor) -> Tensor:
        return self.encoder(waves)[:, None]


def make_feature(name: str, hop: int, sample_rate: int = 16_000) -> nn.Module:
    """The feature of that name; raises UsageError for an unknown one, or for an encoder that cannot be had."""
    return Embeddings(name.removeprefix(ENCODED)) if name.startswith(ENCODED) else FEATURES.get(name)(hop, sample_rate)


def feature_kinds(name: str) -> list[object]:
    """What was looked up by name to make it, for keys of stages."""
    return [Embeddings, ENCODERS.get(name.removeprefix(ENCODED))] if name.startswith(ENCODED) else [FEATURES.get(name)]


def feature_params(name: str, hop: int) -> dict:
    """What decides its values beside code and sound, for keys of stages: of an encoder its weights, of others the hop."""
    made = make_feature(name, hop)
    return {"feature": name} | ({"weights": made.encoder.fingerprint} if isinstance(made, Embeddings) else {"hop": hop})


def stage_name(name: str) -> str:
    """The name as a part of a stage's."""
    return name.replace(":", "-")
