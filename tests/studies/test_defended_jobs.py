"""What a stack of a study is trained on, and which of its fragments may be asked about, where a defense needs more."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from mia_lib.corpora.audio import SAMPLE_RATE
from mia_lib.features.altered import COPIES
from mia_lib.features.compute import compute_features, extract
from mia_lib.fragments.augmentation import AlteredAudio
from mia_lib.fragments.cutting import Fragments
from mia_lib.fragments.splits import HELD_OUT, TRAIN, Split
from mia_lib.studies.pool import ModelPool
from mia_lib.support.cache import Cache
from mia_lib.support.settings import Settings, resolve


def test_jobs_of_a_stack_know_the_source_of_every_fragment():
    manifest = pd.DataFrame({"speaker": list("aabb"), "source": pd.Categorical(["a2", "a1", "b1", "b1"])})
    settings = resolve("smoke", "demo")
    split = SimpleNamespace(role=np.array([1, 2, 1, 1]), speakers=("a", "b"), train=lambda: np.array([0, 2, 3]),
                            held_out=lambda: np.array([1]), labels=lambda manifest: np.array([0, 0, 1, 1]))  # fmt: skip
    experiment = SimpleNamespace(settings=settings, manifest=manifest, resident=None, device="cpu")
    assert ModelPool(experiment, [split], [1], [0]).job().groups.tolist() == [1, 0, 2, 2]


def test_only_a_defense_that_wants_altered_copies_gets_them_and_each_at_its_place(tmp_path):
    audio = (3000 * np.random.default_rng(0).standard_normal((6, 16_000))).astype(np.int16)
    manifest = pd.DataFrame({"speaker": list("ababab"), "source": list("uvwxyz")})
    fragments, cache, device = Fragments(audio, manifest, {}, "six"), Cache(tmp_path), torch.device("cpu")
    common = dict(fragments=fragments, manifest=manifest, cache=cache, device=device, seed=3, settings=Settings())
    experiment = SimpleNamespace(resident=compute_features("mfcc", fragments, 512, cache), **common)
    split = Split(("a", "b"), np.array([TRAIN, TRAIN, TRAIN, TRAIN, HELD_OUT, HELD_OUT], np.int8))
    augmented = ModelPool(experiment, [split], [1], [0], "augmentation").job().augmented
    assert augmented.shape == (COPIES, *experiment.resident.shape)
    altered = AlteredAudio(audio, COPIES, 3, SAMPLE_RATE)
    expected = extract("mfcc", [altered], 512)[0]
    torch.testing.assert_close(augmented.flatten(0, 1), expected)
    assert ModelPool(experiment, [split], [1], [0], "mixup").job().augmented is None
