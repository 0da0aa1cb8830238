"""A corpus cut into fragments, with its features: what every study of one profile and seed stands on."""

import json
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch

from mia_lib.corpora.base import open_corpus
from mia_lib.features.compute import feature_stage, load
from mia_lib.features.resident import Waveforms, resident
from mia_lib.fragments.cutting import Fragments, make_fragments
from mia_lib.studies.fitting import DECIDED_BY, check_lengths
from mia_lib.support.cache import Cache, content
from mia_lib.support.device import choose_device
from mia_lib.support.settings import resolve


class Dataset:
    """What is computed of the corpus alone, whoever trains on what: each step is a cached stage, made when first asked for.

    corpus, profile, seed, device, outputs, data_root, settings, max_bad: as on the command line; outputs is the folder that
    holds the stage cache. Raises UsageError for names and values that make no sense, MiaError for a device that is missing.
    """

    def __init__(
        self,
        corpus: str = "demo",
        profile: str = "standard",
        seed: int = 0,
        device: str = "auto",
        outputs: str | Path = "outputs",
        data_root: str | Path | None = None,
        settings: dict | None = None,
        max_bad: float = 0.05,
    ):
        self.corpus_name, self.profile, self.seed, self.max_bad = corpus, profile, seed, max_bad
        self.settings = resolve(profile, corpus, settings)
        if {*DECIDED_BY} & {*(settings or {})}:
            check_lengths(self.settings)
        self.device = choose_device(device)
        self.corpus = open_corpus(corpus, data_root or None, seed)
        self.cache = Cache(Path(outputs) / "cache")

    @cached_property
    def fragments(self) -> Fragments:
        """The corpus cut into fragments."""
        return make_fragments(self.corpus, self.cache, self.settings, self.seed, self.max_bad)

    @property
    def manifest(self) -> pd.DataFrame:
        """One row per fragment."""
        return self.fragments.manifest

    @cached_property
    def _feature_stage(self) -> Path:
        s = self.settings
        return feature_stage(s.feature, self.fragments, s.hop, self.cache, self.device)

    @cached_property
    def features(self) -> torch.Tensor:
        """Feature tensor [N, frames, bins], memory-mapped."""
        return load(self._feature_stage)[0]

    @cached_property
    def resident(self) -> torch.Tensor | Waveforms:
        """Features where models read them: on the device, or computed anew from waveforms there."""
        return resident(self.features, self.settings.feature, self.fragments, self.settings.hop, self.device)

    @cached_property
    def key(self) -> dict[str, str]:
        """Digests of fragments and features: what stages rest on that are computed from both."""
        return {"fragments": self.fragments.key, "features": content(self._feature_stage)}

    def context(self) -> dict:
        """What `run.json` says of the data: device, digest, counts."""
        report = {k: v for k, v in self.fragments.report.items() if not isinstance(v, list)}
        return {
            "device": str(self.device),
            "data_hash": self.fragments.key,
            "fragments": json.loads(json.dumps(report)),
        }
