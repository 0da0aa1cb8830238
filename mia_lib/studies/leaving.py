"""Who leaves which model: the design behind the question whether a model can forget a person, and what its models answer.

For each person who may leave, the models fall at random into three groups of the same size. Those of the first trained on
the person and are asked to forget them; those of the second never saw the person; those of the third did not either, and
stand for models that were trained on the person and then again, from scratch, without them: there is no difference. Some
people leave no model. Their recordings are in and out by coins, so that it can be measured what becomes of them.
"""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mia_lib.fragments.splits import HELD_OUT, TRAIN, UNSEEN, Split, coin_splits, set_validation_aside, split_sources
from mia_lib.models.network import MODELS
from mia_lib.signals.query import query_each
from mia_lib.studies.dataset import Dataset
from mia_lib.studies.pool import ModelPool
from mia_lib.studies.released import ReleasedSignals
from mia_lib.studies.shadow import VALIDATION_SHARE
from mia_lib.support import draws
from mia_lib.support.digests import digest
from mia_lib.training.job import Job
from mia_lib.training.parts import train_in_parts
from mia_lib.unlearning.base import METHODS, Method, make_method

AUDITED, CHOSEN_ON, STAYING = 8, 4, 12  # people at most, where there are enough; with three seeds 24 are audited
TOGETHER = 136  # requests that are served in one stack
CONTROLS = 2  # models of the third group that are asked to forget each person, whom they do not know
Pair = tuple[int, int]
"""A model, and the person whom it is asked to forget, both by number."""


class Leaving:
    """Models, who is in each, and what they answer before and after they have served a request to forget.

    There are three groups of one more than `n_references` models, so that each model of a group, and one of another, can be
    attacked by means of as many others of both.
    """

    def __init__(self, dataset: Dataset):
        self.dataset, self.settings, self.seed = dataset, dataset.settings, dataset.seed
        self.group = self.settings.n_references + 1
        self.models = 3 * self.group
        everybody = np.sort(dataset.manifest["speaker"].astype(str).unique())
        order = draws.generator(self.seed, "people who leave").permutation(everybody).tolist()
        audited = min(AUDITED, len(order) // 2)
        chosen = min(CHOSEN_ON, max(2, len(order) // 8))
        self.audited, self.chosen_on = range(audited), range(audited, audited + chosen)
        self.leavers = order[: audited + chosen]
        self.stayers = order[audited + chosen :][:STAYING]

    @cached_property
    def groups(self) -> np.ndarray:
        """The models of each person's three groups, int64 [people, 3, group]: in, never in, retrained."""
        shuffled = [
            draws.generator(self.seed, "who is in", p).permutation(self.models) for p in range(len(self.leavers))
        ]
        return np.stack(shuffled).reshape(len(self.leavers), 3, self.group)

    @cached_property
    def given(self) -> np.ndarray:
        """Fragments that are trained on where their speaker is in, of those who may leave: bool [N]."""
        rng = draws.generator(self.seed, "recordings of people who leave")
        return split_sources(self.dataset.manifest, self.leavers, self.settings.train_fraction, rng)

    def rows(self, person: int, given: bool | None = None) -> np.ndarray:
        """Fragments of a person, or those that were given to models or not, int64 [n]."""
        own = (self.dataset.manifest["speaker"].astype(str) == self.leavers[person]).to_numpy()
        return np.flatnonzero(own if given is None else own & (self.given == given))

    @cached_property
    def splits(self) -> list[Split]:
        """Who trains on what: every model has a class for everybody, whether it heard them or not."""
        manifest, splits = self.dataset.manifest, []
        coins, _ = coin_splits(manifest, self.stayers, self.models, draws.seeds(self.seed, "who stays", 1)[0])
        people = tuple(sorted([*self.leavers, *self.stayers]))
        speaker = manifest["speaker"].astype(str).to_numpy()
        for model, coin in enumerate(coins):
            inside = [self.leavers[p] for p in np.flatnonzero((self.groups[:, 0] == model).any(1))]
            role = np.where(np.isin(speaker, self.leavers), UNSEEN, coin.role)
            here = np.isin(speaker, inside)
            role[here] = np.where(self.given[here], TRAIN, HELD_OUT)
            splits.append(Split(people, role.astype(np.int8)))
        if self.settings.patience:
            seeds = draws.seeds(self.seed, "validation of models that people leave", self.models)
            return [set_validation_aside(manifest, s, VALIDATION_SHARE, k) for s, k in zip(splits, seeds, strict=True)]
        return splits

    @cached_property
    def pool(self) -> ModelPool:
        """The models before anybody leaves."""
        seeds = draws.seeds(self.seed, "models that people leave", self.models)
        return ModelPool(self.dataset, self.splits, [self.settings.epochs] * self.models, seeds)

    @cached_property
    def before(self) -> np.ndarray:
        """What they answer, float32 [models, N, classes]."""
        return ReleasedSignals(self.pool).logits

    @cached_property
    def known(self) -> np.ndarray:
        """Fragments of everybody who plays a part, int64 [n]."""
        return np.flatnonzero(np.isin(self.dataset.manifest["speaker"].astype(str), self.splits[0].speakers))

    def candidates(self, kind: str) -> list[str]:
        """The strengths of a method that can be tried here: no piece of a model is without recordings."""
        strengths = METHODS.get(kind).strengths
        names = [f"{kind}:{strength:g}" for strength in strengths] or [kind]
        job = self.pool.job()
        return [name for name in names if min(map(len, make_method(name).expanded(job).train)) > 1]

    def request(self, pairs: list[Pair]) -> Job:
        """What models are asked: each trained as it was, with a person who leaves it."""
        models = [model for model, _ in pairs]
        job, trained = self.pool.job().pick(models), self.pool.models
        leaving = [self.rows(person, True) for _, person in pairs]
        train = [np.setdiff1d(own, gone) for own, gone in zip(job.train, leaving, strict=True)]
        seeds = [draws.seeds(self.seed, "requests", 1, *pair)[0] for pair in pairs]
        start = [trained.weights(model) for model in models]
        return replace(job, train=train, leaving=leaving, seeds=seeds, start=start)

    def anew(self, name: str) -> tuple[np.ndarray, float]:
        """What models of an exact method answer to everybody's fragments, float32 [models, n, classes], and the seconds that
        training one took."""
        method = make_method(name)
        if method.pieces == 1:
            return self.before[:, self.known], self.pool.models.seconds / self.models

        def build(folder: Path, scratch: Path) -> None:
            job = method.expanded(self.pool.job(scratch / "checkpoint.safetensors"))
            trained = train_in_parts(Method(), replace(job, label=f"{name}, {job.label}"))
            rows = np.tile(self.known, (len(job.train), 1))
            answers = query_each(trained.network, job.features, rows, job.device)
            np.save(folder / "answers.npy", method.combined(answers))
            _note(folder, trained.seconds / self.models)

        stage = self._stage("trained anew", name, {}, build)
        return np.load(stage / "answers.npy", mmap_mode="r", allow_pickle=False), _noted(stage)

    def served(self, name: str, pairs: list[Pair], shown: list[bool]) -> tuple[np.ndarray, np.ndarray, float]:
        """What models answer that have served a request by an approximate method: to fragments of who left, float32
        [requests, longest, classes], where shorter ones begin again; those that are `shown` to everybody's fragments,
        float32 [shown, n, classes]; and the seconds that serving one took."""
        own, open_, seconds = [], [], 0.0
        for start in range(0, len(pairs), TOGETHER):
            part = slice(start, start + TOGETHER)
            folder = self._served_together(name, pairs[part], shown[part])
            own.append(np.load(folder / "own.npy", allow_pickle=False))
            open_.append(np.load(folder / "shown.npy", allow_pickle=False))
            seconds += _noted(folder)
        return np.concatenate(own), np.concatenate(open_), seconds / len(pairs)

    def _served_together(self, name: str, pairs: list[Pair], shown: list[bool]) -> Path:
        """The stage of some requests, which are one stack of models."""
        longest = max(len(self.rows(p)) for p in range(len(self.leavers)))

        def build(folder: Path, scratch: Path) -> None:
            job = replace(self.request(pairs), checkpoint=scratch / "checkpoint.safetensors")
            trained = train_in_parts(make_method(name), replace(job, label=f"{name}, {len(pairs)} requests"))
            rows = np.stack([np.resize(self.rows(person), longest) for _, person in pairs])
            np.save(folder / "own.npy", query_each(trained.network, job.features, rows, job.device))
            open_ = np.flatnonzero(shown).tolist()
            everybody = np.tile(self.known, (len(open_), 1))
            classes = max(trained.network.classes)
            answers = np.empty((0, len(self.known), classes), np.float32)
            if open_:
                answers = query_each(trained.pick(open_).network, job.features, everybody, job.device)
            np.save(folder / "shown.npy", answers)
            _note(folder, trained.seconds)

        return self._stage("forgotten", name, dict(pairs=digest(pairs), shown=digest(shown)), build)

    def _stage(self, stage: str, method: str, params: dict, build) -> Path:
        data = self.dataset
        decided = dict(method=method, weights=digest(self.pool.weights), keys=digest(self.pool.keys), **data.key)
        uses = [MODELS.get(self.pool.config.model), METHODS.get(method.partition(":")[0])]
        return data.cache.stage(stage.replace(" ", "-"), decided | params, build, uses)


def _note(folder: Path, seconds: float) -> None:
    (folder / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")


def _noted(folder: Path) -> float:
    return json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
