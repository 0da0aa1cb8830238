"""Features of what somebody holds in place of a fragment, and of what they make of it to ask more than once."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mia_lib.features.compute import load, store
from mia_lib.features.named import feature_kinds, feature_params, stage_name
from mia_lib.fragments.perturbations import PerturbedAudio
from mia_lib.fragments.versions import range_of, version
from mia_lib.support.cache import Cache
from mia_lib.support.digests import digest

if TYPE_CHECKING:
    from mia_lib.fragments.cutting import Fragments


def version_features(
    feature: str,
    fragments: "Fragments",
    rows: np.ndarray,
    held: str,
    hop: int,
    cache: Cache,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Tensor:
    """`feature` of a version of chosen fragments and of its range, [1 + RANGE, n, frames, bins], from the stage cache.

    rows: int64 [n], which fragments. held: the version's name. Raises UsageError for an unknown one.
    """
    functions = range_of(version(held))

    def build(folder: Path, _scratch: Path) -> None:
        audio = [PerturbedAudio(fragments.audio, rows, function, seed, device) for function in functions]
        store(folder, feature, audio, fragments, hop, device)

    params = feature_params(feature, hop) | {"fragments": fragments.key, "device": torch.device(device).type}
    params |= {"rows": digest(rows.tolist()), "held": held, "seed": seed}
    return load(cache.stage(f"version-{stage_name(feature)}", params, build, feature_kinds(feature)))
