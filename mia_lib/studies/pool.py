"""Models trained together on given splits, and their answers to every fragment and to altered versions: cached stages."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mia_lib.defenses.base import Answers, defense_modules, make_defense, training_part
from mia_lib.features.altered import perturbed_features, variant_features
from mia_lib.fragments.splits import HELD_OUT, NONE, REFERENCE, TRAIN, VALIDATION, Split
from mia_lib.models import MODELS
from mia_lib.signals.query import query_models
from mia_lib.signals.white_box import read_internals
from mia_lib.support.digests import digest
from mia_lib.training.job import Job, TrainingConfig, joined
from mia_lib.training.parts import train_in_parts
from mia_lib.training.train import CODE as TRAINING
from mia_lib.training.trained import TrainedModels

if TYPE_CHECKING:
    from mia_lib.studies.shadow import Experiment
from mia_lib.attacks import ATTACKS
from mia_lib.features.summary import summary_vectors
from mia_lib.fragments.perturbations import PERTURBATIONS
from mia_lib.signals.signals import Signals

CODE = ["mia_lib.signals", "mia_lib.models.layers"]
COPIES_CODE = [*CODE, "mia_lib.perturbations", "mia_lib.corpora.synthesis.rooms"]


class Stack:
    """One model per split, trained in one call on an experiment's features, behind one defense.

    epochs: of each model. seeds: of each model; its weights and the order of its batches follow from it. defense: a name.
    followed: whether the history has test accuracies, which take a tenth of the time.
    """

    def __init__(
        self,
        experiment: "Experiment",
        splits: Sequence[Split],
        epochs: Sequence[int],
        seeds: Sequence[int],
        defense: str = "none",
        followed: bool = False,
    ):
        s, self.followed = experiment.settings, followed
        self.defense, self.defense_name = make_defense(defense), defense
        self.experiment, self.splits, self.seeds = experiment, list(splits), [int(seed) for seed in seeds]
        self.config = TrainingConfig(s.model, tuple(epochs), s.batch_size, s.learning_rate, s.schedule, s.patience)

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of every fragment for every model, int64 [models, N]; -1 where its speaker is none of the classes."""
        return np.stack([split.labels(self.experiment.manifest) for split in self.splits])

    def job(self, checkpoint: Path | None = None) -> Job:
        """What the models are trained on; where only some have reference fragments, the others' are those they train on."""
        experiment, sides = self.experiment, {}
        for name, role in (("validation", VALIDATION), ("reference", REFERENCE)):
            rows = [np.flatnonzero(split.role == role) for split in self.splits]
            known = [own if len(own) else split.train() for own, split in zip(rows, self.splits, strict=True)]
            sides[name] = known if any(map(len, rows)) else None
        if self.defense.needs_variants:
            s, device, seed = experiment.settings, experiment.device, experiment.seed
            sides["variants"] = variant_features(s.feature, experiment.fragments, s.hop, experiment.cache, device, seed)
        return Job(
            experiment.resident,
            self.labels,
            [split.train() for split in self.splits],
            self.config,
            self.seeds,
            test=[self._tested(split) for split in self.splits] if self.followed else None,
            groups=experiment.manifest["source"].astype("category").cat.codes.to_numpy(np.int64),
            device=experiment.device,
            checkpoint=checkpoint,
            label="train" if isinstance(experiment.resident, torch.Tensor) else "features on the fly, train",
            **sides,
        )

    @property
    def passes(self) -> int:
        """Fragments that all models together pass through training, counted once per epoch."""
        pairs = zip(self.config.epochs, self.splits, strict=True)
        return sum(epochs * len(split.train()) for epochs, split in pairs)

    @staticmethod
    def _tested(split: Split) -> np.ndarray:
        """Fragments whose accuracy is followed: also those set aside for a defense of answers, so that it changes nothing."""
        return np.flatnonzero(np.isin(split.role, (HELD_OUT, REFERENCE)))

    @cached_property
    def models(self) -> TrainedModels:
        """All models, trained in one call."""

        def build(folder: Path, scratch: Path) -> None:
            train_in_parts(self.defense, self.job(scratch / "checkpoint.safetensors")).save(folder)

        return self.keep(build)

    def keep(self, build: Callable[[Path, Path], None]) -> TrainedModels:
        """The models as a cached stage, which `build(folder, scratch)` saves there unless it is complete."""
        folder = self.experiment.cache.stage("models", *self.training_key, build)
        return TrainedModels.load(folder, self.experiment.device)

    @cached_property
    def training_key(self) -> tuple[dict, list[str]]:
        """What decides the models: parameters and modules."""
        experiment, parts = self.experiment, hashlib.sha256()
        for split in self.splits:  # what training does not read decides nothing: so defenses of answers train no models
            role = np.where(np.isin(split.role, (TRAIN, VALIDATION)), split.role, NONE).astype(np.int8)
            aside = split.role == REFERENCE if self.defense.trains else np.zeros(0)
            tested = self._tested(split) if self.followed else np.zeros(0)
            parts.update(role.tobytes() + aside.tobytes() + tested.tobytes())
            parts.update("\0".join(split.speakers).encode())
        params = dict(config=self.config.__dict__, seeds=self.seeds, features=experiment.feature_params())
        params |= dict(
            splits=parts.hexdigest(),
            followed=self.followed,
            device=experiment.device.type,
            threads=torch.get_num_threads(),
        )
        code = [*TRAINING, MODELS.get(self.config.model).__module__]
        if self.defense.trains:
            params |= dict(defense=training_part(self.defense_name))
            code += defense_modules(training_part(self.defense_name))
        if self.defense.needs_variants:
            code.append("mia_lib.variants")
        return params, code

    @cached_property
    def own_logits(self) -> np.ndarray:
        """What the models themselves say of every fragment, float32 [models, N, classes], memory-mapped."""
        experiment, models = self.experiment, self.models

        def build(folder: Path, _scratch: Path) -> None:
            np.save(folder / "logits.npy", query_models(models.network, experiment.resident, experiment.device))

        folder = experiment.cache.stage("logits", self._model_params(), CODE, build)
        return np.load(folder / "logits.npy", mmap_mode="r")

    @cached_property
    def logits(self) -> np.ndarray:
        """What is given out for every fragment, float32 [models, N, classes], memory-mapped."""
        if not self.defense.alters:
            return self.own_logits

        def build(folder: Path, _scratch: Path) -> None:
            np.save(folder / "logits.npy", self.answer(self.own_logits))

        params = self._model_params() | self._defense_params()
        code = [*CODE, *defense_modules(self.defense_name)]
        return np.load(self.experiment.cache.stage("answers", params, code, build) / "logits.npy", mmap_mode="r")

    def answer(self, logits: np.ndarray) -> np.ndarray:
        """What is given out when the models themselves say `logits` [models, n, classes]."""
        if not self.defense.alters:
            return logits
        answers = Answers(logits, self.job(), self.models, self.own_logits)
        return self.defense.answer(answers).astype(np.float32)

    def copies(self, rows: np.ndarray, count: int) -> np.ndarray:
        """What is given out for altered versions of chosen fragments, float32 [count, models, n, classes], memory-mapped.

        rows: int64 [n], which fragments. count: how many of `mia_lib.perturbations.PERTURBATIONS`, in their order.
        """
        if not self.defense.alters:
            return self._own_copies(rows, count)

        def build(folder: Path, _scratch: Path) -> None:
            np.save(folder / "logits.npy", np.stack([self.answer(own) for own in self._own_copies(rows, count)]))

        params = self._copies_params(rows, count) | self._defense_params()
        code = [*COPIES_CODE, *defense_modules(self.defense_name)]
        folder = self.experiment.cache.stage("copies-answers", params, code, build)
        return np.load(folder / "logits.npy", mmap_mode="r")

    def _own_copies(self, rows: np.ndarray, count: int) -> np.ndarray:
        """What the models themselves say of altered versions; the features of these are shared by all stacks."""
        e, models = self.experiment, self.models

        def build(folder: Path, _scratch: Path) -> None:
            s = e.settings
            features = perturbed_features(s.feature, e.fragments, rows, count, s.hop, e.cache, e.device, e.seed)
            answers = [query_models(models.network, version, e.device) for version in features]
            np.save(folder / "logits.npy", np.stack(answers))

        folder = e.cache.stage("copies-logits", self._copies_params(rows, count), COPIES_CODE, build)
        return np.load(folder / "logits.npy", mmap_mode="r")

    def internals(self, rows: np.ndarray) -> np.ndarray:
        """What their owner reads inside all models for chosen fragments, float64 [models, n, W] (`read_internals`)."""
        e, labels = self.experiment, self.labels[:, rows]

        def build(folder: Path, _scratch: Path) -> None:
            np.save(folder / "internals.npy", read_internals(self.models.network, e.features[rows], labels, e.device))

        params = self._model_params() | dict(rows=digest(rows.tolist()), labels=digest(labels.tolist()))
        code = [
            "mia_lib.internals",
            "mia_lib.models.examples",
            "mia_lib.models.layers",
            MODELS.get(self.config.model).__module__,
        ]
        return np.load(e.cache.stage("internals", params, code, build) / "internals.npy", allow_pickle=False)

    def _copies_params(self, rows: np.ndarray, count: int) -> dict:
        chosen = dict(rows=digest(rows.tolist()), count=count, seed=self.experiment.seed)
        return self._model_params() | {"copies": chosen}

    def _defense_params(self) -> dict:
        """Decides what becomes of what the models say; a defense may read the fragments set aside for it."""
        roles = hashlib.sha256(b"".join(split.role.tobytes() for split in self.splits)).hexdigest()
        return dict(defense=self.defense_name, seeds=self.seeds, roles=roles)

    def _model_params(self) -> dict:
        """Decides what the models say: the key of all stages that query them."""
        weights = {name: tensor.double().sum().item() for name, tensor in self.models.network.state_dict().items()}
        features = self.experiment.feature_params()
        return {"features": features, "weights": weights, "config": self.models.config.__dict__}


def train_together(stacks: Sequence[Stack]) -> None:
    """Train the models of several stacks of one experiment that are not in the cache yet, in as few calls as there are kinds
    of defense: a sweep of strengths is one stack. Each then finds its own models in the cache, as if trained alone."""
    kinds: dict[tuple, list[Stack]] = {}
    for stack in {str(stack.training_key): stack for stack in stacks}.values():
        if not stack.experiment.cache.has("models", *stack.training_key):
            part = training_part(stack.defense_name)
            words = [word.partition(":")[0] for word in part.split("+")]
            kind = "+".join(words) if make_defense(part).mixes_strengths else part
            kinds.setdefault((kind, replace(stack.config, epochs=1), stack.followed), []).append(stack)
    for group in kinds.values():
        if len(group) > 1:
            _train_group(group)


def _train_group(stacks: list[Stack]) -> None:
    """`train_together` for stacks behind one kind of defense."""
    first, parts = stacks[0], [make_defense(training_part(stack.defense_name)) for stack in stacks]
    ends = np.cumsum([0, *(len(stack.splits) for stack in stacks)])

    def build(folder: Path, scratch: Path) -> None:
        each = [part for part, stack in zip(parts, stacks, strict=True) for _ in stack.splits]
        defense = type(parts[0]).mixed(each)
        jobs = [stack.job(scratch / "checkpoint.safetensors") for stack in stacks]
        train_in_parts(defense, joined(jobs)).save(folder)

    keys = [stack.training_key for stack in stacks]
    params = dict(together=[params for params, _ in keys])
    folder = first.experiment.cache.stage(
        "models-together", params, sorted({c for _, code in keys for c in code}), build
    )
    models = TrainedModels.load(folder)
    for stack, start, end in zip(stacks, ends, ends[1:], strict=False):
        part = models.pick(range(start, end))
        stack.keep(lambda own, _scratch, part=part: part.save(own))


def _inputs(stack: Stack, rows: np.ndarray) -> np.ndarray:
    """What fragments are like, whatever a model says: mean and deviation of their features over time, float64 [n, D]."""
    return summary_vectors(stack.experiment.features[rows].cpu()).astype(np.float64)


EXTRAS: dict[str, Callable[[Stack, np.ndarray], np.ndarray]] = {
    "copies": lambda stack, rows: stack.copies(rows, len(PERTURBATIONS)),
    "inputs": _inputs,
    "internals": lambda stack, rows: stack.internals(rows),
}
"""Name of a field of Signals -> its values for all models of a stack on the fragments `rows`, int64 [n]."""
CHEAP = {"inputs"}
"""Extras that are had for every fragment."""


def fragment_attacks() -> list[str]:
    """Names of the attacks that score single fragments, as opposed to persons."""
    return [name for name in ATTACKS.names() if "person" not in needs_of(name)]


def needs_of(attack: str) -> tuple[str, ...]:
    """What an attack sees beside the logits, as names of EXTRAS; nothing for most."""
    return tuple(getattr(ATTACKS.get(attack), "needs", ()))


def detailed_signals(stack: Stack, rows: np.ndarray, needs: Sequence[str], member: np.ndarray, **options) -> Signals:
    """Signals of all models of a stack on the fragments `rows` [n], with the extras that `needs` names.

    member: int8 [models, n]. options: other fields of Signals, of the same fragments.
    """
    extras = {name: EXTRAS[name](stack, rows) for name in needs}
    return Signals(stack.logits[:, rows], stack.labels[:, rows], member, **options, **extras)
