"""Features of altered versions of fragments: for an attacker who asks again, and for training on augmented audio."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mia_lib.features.compute import load, store
from mia_lib.features.named import feature_kinds, feature_params, stage_name
from mia_lib.fragments.augmentation import AlteredAudio
from mia_lib.fragments.perturbations import PERTURBATIONS, PerturbedAudio
from mia_lib.support.cache import Cache
from mia_lib.support.digests import digest
from mia_lib.support.errors import MiaError

if TYPE_CHECKING:
    from mia_lib.fragments.cutting import Fragments

COPIES = 4  # augmented copies of each fragment


def perturbed_features(
    feature: str,
    fragments: "Fragments",
    rows: np.ndarray,
    count: int,
    hop: int,
    cache: Cache,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Tensor:
    """`feature` of perturbed versions of chosen fragments, [count, n, frames, bins], memory-mapped from the stage cache.

    rows: int64 [n], which fragments. count: how many of PERTURBATIONS, in their order; raises MiaError for more than
    there are. hop: in samples. seed: of the noise.
    """
    if not 1 <= count <= len(PERTURBATIONS):
        raise MiaError(f"there are {len(PERTURBATIONS)} altered versions of a fragment, so {count} cannot be computed")
    functions = list(PERTURBATIONS.values())[:count]

    def build(folder: Path, _scratch: Path) -> None:
        versions = [PerturbedAudio(fragments.audio, rows, function, seed, device) for function in functions]
        store(folder, feature, versions, fragments, hop, device)

    params = feature_params(feature, hop) | {"fragments": fragments.key, "device": torch.device(device).type}
    params |= {"rows": digest(rows.tolist()), "count": count, "seed": seed}
    return load(cache.stage(f"copies-{stage_name(feature)}", params, build, feature_kinds(feature)))


def augmented_features(
    feature: str,
    fragments: "Fragments",
    hop: int,
    cache: Cache,
    device: str | torch.device,
    seed: int,
    copies: int = COPIES,
) -> Tensor:
    """`feature` of augmented copies of all fragments, [copies, N, frames, bins], a cached stage."""

    def build(folder: Path, _scratch: Path) -> None:
        audio = AlteredAudio(fragments.audio, copies, seed, fragments.sample_rate)
        store(folder, feature, [audio], fragments, hop, device)

    params = feature_params(feature, hop) | {"fragments": fragments.key, "device": torch.device(device).type}
    params |= {"copies": copies, "seed": seed}
    values = load(cache.stage(f"augmented-{stage_name(feature)}", params, build, feature_kinds(feature)))[0]
    return values.view(copies, len(fragments.audio), *values.shape[1:])
