"""Models of one study, trained together and kept one by one: a larger study trains only those that are new."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mia_lib.defenses.base import defense_kinds, make_defense, training_part
from mia_lib.features.altered import augmented_features
from mia_lib.fragments.splits import HELD_OUT, NONE, REFERENCE, TRAIN, VALIDATION, Split
from mia_lib.models.network import MODELS
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.public import public_key, public_network
from mia_lib.support.cache import content
from mia_lib.support.errors import MiaError
from mia_lib.training.job import Job, TrainingConfig, joined
from mia_lib.training.parts import train_in_parts
from mia_lib.training.trained import WEIGHTS, TrainedModels, concatenated

STAGE = "model"


class ModelPool:
    """One model per split, trained on a dataset's features behind one defense.

    epochs: of each model. seeds: of each model; its weights and the order of its batches follow from it. defense: a name.
    followed: whether the history has test accuracies, which take a tenth of the time.
    """

    def __init__(
        self,
        dataset: Dataset,
        splits: Sequence[Split],
        epochs: Sequence[int],
        seeds: Sequence[int],
        defense: str = "none",
        followed: bool = False,
    ):
        s, self.followed = dataset.settings, followed
        self.defense, self.defense_name, self.trained_behind = make_defense(defense), defense, training_part(defense)
        self.dataset, self.splits, self.seeds = dataset, list(splits), [int(seed) for seed in seeds]
        self.config = TrainingConfig(s.model, tuple(epochs), s.batch_size, s.learning_rate, s.schedule, s.patience)

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of every fragment for every model, int64 [models, N]; -1 where its speaker is none of the classes."""
        return np.stack([split.labels(self.dataset.manifest) for split in self.splits])

    @property
    def epochs(self) -> tuple[int, ...]:
        """Those of each model."""
        return self.config.epochs_of(len(self.splits))

    def job(self, checkpoint: Path | None = None) -> Job:
        """What the models are trained on; sides that no split sets aside are None."""
        data = self.dataset
        sides: dict[str, Any] = {}
        for name, role in (("validation", VALIDATION), ("reference", REFERENCE)):
            rows = [np.flatnonzero(split.role == role) for split in self.splits]
            sides[name] = rows if any(map(len, rows)) else None
        if self.defense.needs_augmented:
            s = data.settings
            sides["augmented"] = augmented_features(
                s.feature, data.fragments, s.hop, data.cache, data.device, data.seed
            )
        if self.defense.needs_public:
            sides["public"] = public_network(data)
        return Job(
            data.resident,
            self.labels,
            [split.train() for split in self.splits],
            self.config,
            self.seeds,
            test=[self._tested(split) for split in self.splits] if self.followed else None,
            groups=data.manifest["source"].astype("category").cat.codes.to_numpy(np.int64),
            device=data.device,
            checkpoint=checkpoint,
            label="train" if isinstance(data.resident, torch.Tensor) else "features on the fly, train",
            **sides,
        )

    def passes(self, models: Sequence[int] | None = None) -> int:
        """Fragments that models (None: all) pass through training together, counted once per epoch."""
        rows, epochs = range(len(self.splits)) if models is None else models, self.epochs
        return sum(epochs[k] * len(self.splits[k].train()) for k in rows)

    @staticmethod
    def _tested(split: Split) -> np.ndarray:
        """Fragments whose accuracy is followed: also those set aside for a defense of answers, so that it changes nothing."""
        return np.flatnonzero(np.isin(split.role, (HELD_OUT, REFERENCE)))

    @cached_property
    def keys(self) -> list[dict]:
        """What decides each model, by itself: the parameters of its stage."""
        data = self.dataset
        shared = dict(data.key, followed=self.followed, device=data.device.type)
        if self.defense.needs_augmented:
            shared |= dict(augmented_seed=data.seed)
        if self.defense.needs_public:
            shared |= dict(public=public_key(data))
        keys = []
        for split, seed, epochs in zip(self.splits, self.seeds, self.epochs, strict=True):
            # what training does not read decides nothing: so defenses of answers train no models
            role = np.where(np.isin(split.role, (TRAIN, VALIDATION)), split.role, NONE).astype(np.int8)
            aside = split.role == REFERENCE if self.defense.trains else np.zeros(0)
            tested = self._tested(split) if self.followed else np.zeros(0)
            parts = hashlib.sha256(role.tobytes() + aside.tobytes() + tested.tobytes())
            parts.update("\0".join(split.speakers).encode())
            config = asdict(replace(self.config, epochs=epochs))
            own = dict(config=config, seed=seed, split=parts.hexdigest(), defense=self.trained_behind)
            keys.append(shared | own)
        return keys

    @property
    def uses(self) -> list[object]:
        """What was looked up by name to train the models."""
        return [MODELS.get(self.config.model), *defense_kinds(self.trained_behind)]

    def find(self, model: int) -> Path | None:
        """The stage of a model that is kept already."""
        return self.dataset.cache.find(STAGE, self.keys[model], [ModelPool, *self.uses])

    def missing(self) -> list[int]:
        """The models that are not kept yet."""
        return [k for k in range(len(self.splits)) if self.find(k) is None]

    def not_among(self, known: set[str]) -> list[int]:
        """The models that are not kept yet and whose keys are not among those `known`, to which they are added."""
        found = []
        for k in self.missing():
            key = str(self.keys[k])
            if key not in known:
                known.add(key)
                found.append(k)
        return found

    def keep(self, model: int, trained: TrainedModels) -> None:
        """Keep one model, a stack of its own."""

        def build(folder: Path, _scratch: Path) -> None:
            trained.save(folder)

        self.dataset.cache.stage(STAGE, self.keys[model], build, self.uses)

    @cached_property
    def models(self) -> TrainedModels:
        """All models as one stack; those that are not kept yet are trained, in one call."""
        train_together([self])
        device = self.dataset.device
        return concatenated([TrainedModels.load(folder, device) for folder in self._folders()])

    def _folders(self) -> list[Path]:
        """The stages of all models, which are there once these are trained."""
        found = []
        for k in range(len(self.splits)):
            folder = self.find(k)
            if folder is None:
                raise MiaError(f"model {k} is no longer in {self.dataset.cache.root}: run again to train it anew")
            found.append(folder)
        return found

    @cached_property
    def weights(self) -> list[str]:
        """Digest of each model's weights: what stages rest on that ask the models."""
        _ = self.models
        return [content(folder, WEIGHTS) for folder in self._folders()]


def train_together(pools: Sequence[ModelPool]) -> None:
    """Train the models of several pools of one dataset that are not kept yet, in as few calls as there are kinds of
    defense: a sweep of strengths is one stack. Each pool then finds its own models, as if they had been trained alone."""
    kinds: dict[tuple, list[tuple[ModelPool, list[int]]]] = {}
    known: set[str] = set()
    with pools[0].dataset.cache.timed("models") as timing:
        for pool in pools:
            rows = pool.not_among(known)
            words = [word.partition(":")[0] for word in pool.trained_behind.split("+")]
            kind = "+".join(words) if pool.defense.mixes_strengths else pool.trained_behind
            kinds.setdefault((kind, replace(pool.config, epochs=1), pool.followed), []).append((pool, rows))
        groups = [group for group in kinds.values() if any(rows for _, rows in group)]
        timing["cached"] = not groups
        for group in groups:
            _train_group(group)


def _train_group(group: list[tuple[ModelPool, list[int]]]) -> None:
    """Train some models of pools behind one kind of defense in one call, and keep each.

    The folder for checkpoints is that of all models of these pools: where some could be kept before a disk was full, those
    that are left find it again.
    """
    cache, members = group[0][0].dataset.cache, [(pool, k) for pool, rows in group for k in rows]
    each = [make_defense(pool.trained_behind) for pool, _ in members]
    makers = [ModelPool, *(use for pool, _ in group for use in pool.uses)]
    with cache.working("training", [pool.keys for pool, _ in group], makers) as scratch:
        if all(pool.find(k) for pool, k in members):  # by now, by another process
            return
        jobs = [pool.job(scratch / "checkpoint.safetensors").pick(rows) for pool, rows in group if rows]
        job = joined(jobs)
        job = replace(job, label=f"{job.label} {len(members)} models")
        trained = train_in_parts(type(each[0]).mixed(each), job)
        for i, (pool, k) in enumerate(members):
            pool.keep(k, trained.pick([i]))
