"""Features of what somebody holds in place of a fragment, and of what they make of it to ask more than once."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mia_lib.corpora.base import Corpus
from mia_lib.features.compute import BATCH, load, store
from mia_lib.features.named import feature_kinds, feature_params, stage_name
from mia_lib.fragments.perturbations import PerturbedAudio
from mia_lib.fragments.versions import range_of, version
from mia_lib.support.cache import Cache
from mia_lib.support.cores import side_by_side
from mia_lib.support.digests import digest
from mia_lib.support.progress import progress

if TYPE_CHECKING:
    from mia_lib.fragments.cutting import Fragments


def held_waves(audio: PerturbedAudio, label: str) -> np.ndarray:
    """Versions as files hold them, int16 [n, samples]: computed once, since some take long."""
    out = np.empty((len(audio), audio.audio.shape[1]), np.int16)

    def write(start: int) -> None:
        part = slice(start, start + BATCH)
        with progress(label, len(audio.rows[part]), "fragment") as bar:
            out[part] = (audio[part] * 32768).round().clamp(-32768, 32767).to("cpu", torch.int16).numpy()
            bar.update(len(audio.rows[part]))

    side_by_side(write, range(0, len(audio), BATCH), None if torch.device(audio.device).type == "cpu" else 1)
    return out


def version_features(
    feature: str,
    fragments: "Fragments",
    rows: np.ndarray,
    held: str,
    hop: int,
    cache: Cache,
    corpus: Corpus,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Tensor:
    """`feature` of a version of chosen fragments and of its range, [1 + RANGE, n, frames, bins], from the stage cache.

    rows: int64 [n], which fragments. held: the version's name. corpus: that the fragments are of. Raises UsageError for an
    unknown version.
    """
    function = version(held, corpus, fragments.manifest)

    def build(folder: Path, _scratch: Path) -> None:
        audio = PerturbedAudio(fragments.audio, rows, function, seed, device)
        waves = held_waves(audio, f"{held} of {len(rows)} fragments")
        asked = [PerturbedAudio(waves, rows, one, seed, device, chosen=True) for one in range_of()]
        store(folder, feature, asked, fragments, hop, device)

    params = feature_params(feature, hop) | {"fragments": fragments.key, "device": torch.device(device).type}
    params |= {"rows": digest(rows.tolist()), "held": held, "seed": seed}
    return load(cache.stage(f"version-{stage_name(feature)}", params, build, feature_kinds(feature)))
