"""What a pool's models answer: raw, and as released through their defense, to every fragment and to altered versions."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from mia_lib.defenses.base import Answers, Defense, defense_kinds
from mia_lib.features.altered import perturbed_features
from mia_lib.features.summary import summary_vectors
from mia_lib.features.versions import version_features
from mia_lib.fragments.perturbations import PERTURBATIONS
from mia_lib.models.network import MODELS
from mia_lib.signals.query import query_models
from mia_lib.signals.sensitivity import noisy, sensitivity
from mia_lib.signals.signals import Signals
from mia_lib.signals.white_box import read_internals
from mia_lib.studies.pool import ModelPool
from mia_lib.support.cache import content
from mia_lib.support.digests import digest

CHEAP = {"inputs"}
"""Extras that are had for every fragment."""
NAMES = "names_of_copies"
"""The extra that stands for `copies` where nothing but the answered speakers is read of them."""


class ReleasedSignals:
    """Answers of all models of a pool, each kind a cached stage: raw logits, released ones, and what some attacks need.

    Extras have the names of fields of Signals: `copies`, `inputs`, `sensitivity`, `internals`.
    """

    def __init__(self, pool: ModelPool):
        self.pool, self.dataset, self.defense = pool, pool.dataset, pool.defense

    @property
    def labels(self) -> np.ndarray:
        """Class of every fragment for every model, int64 [models, N]."""
        return self.pool.labels

    @cached_property
    def raw_logits(self) -> np.memmap:
        """What the models themselves say of every fragment, float32 [models, N, classes], memory-mapped."""
        data, network = self.dataset, lambda: self.pool.models.network
        return self._array("logits", {}, lambda: query_models(network(), data.resident, data.device))

    @cached_property
    def logits(self) -> np.memmap:
        """What is given out for every fragment, float32 [models, N, classes], memory-mapped."""
        if not self.defense.alters:
            return self.raw_logits
        return self._array("released", self._defended, lambda: self.answer(self.raw_logits), self._kinds)

    def answer(self, logits: np.ndarray) -> np.ndarray:
        """What is given out when the models themselves say `logits` [models, n, classes]."""
        if not self.defense.alters:
            return logits
        answers = Answers(logits, self.pool.job(), self.pool.models, self.raw_logits)
        return self.defense.answer(answers).astype(np.float32)

    def answered(self, parts: Iterable[np.ndarray]) -> np.ndarray:
        """The same for several questions [models, n, classes] each, [parts, models, n, classes]: all at once, so that what a
        defense learns for its answers is learnt once. Each fragment is answered by itself, whichever others are asked about.
        """
        if not self.defense.alters:
            return np.stack(list(parts))
        raw = np.stack(list(parts), axis=1)  # [models, parts, n, classes]
        given = self.answer(raw.reshape(len(raw), -1, raw.shape[-1]))
        return np.moveaxis(given.reshape(raw.shape), 0, 1)

    def copies(self, rows: np.ndarray, count: int = len(PERTURBATIONS)) -> np.ndarray:
        """What is given out for altered versions of chosen fragments, float32 [count, models, n, classes], memory-mapped.

        rows: int64 [n], which fragments. count: how many of PERTURBATIONS, in their order.
        """
        if not self.defense.alters:
            return self._raw_copies(rows, count)

        key = self._defended | self._chosen(rows, count)
        return self._array("copies-released", key, lambda: self.answered(self._raw_copies(rows, count)), self._kinds)

    def names_of_copies(self, rows: np.ndarray) -> np.ndarray:
        """In the place of `copies` where only the answered speaker is read, which is the largest value [copies, models, n].

        Behind a defense that never changes whom a model names nothing has to be defended: it is what the models themselves
        say, 1 for that speaker and 0 for all others.
        """
        if not (self.defense.alters and self.defense.keeps_argmax):
            return self.copies(rows)
        raw = self._raw_copies(rows, len(PERTURBATIONS))
        names = np.zeros(raw.shape, np.float32)
        np.put_along_axis(names, raw.argmax(-1)[..., None], 1.0, -1)
        return names

    def _raw_copies(self, rows: np.ndarray, count: int) -> np.ndarray:
        """What the models themselves say of altered versions; the features of these are shared by all pools."""
        data, s = self.dataset, self.dataset.settings

        def compute() -> np.ndarray:
            models = self.pool.models
            versions = perturbed_features(
                s.feature, data.fragments, rows, count, s.hop, data.cache, data.device, data.seed
            )
            return np.stack([query_models(models.network, version, data.device) for version in versions])

        return self._array("copies-logits", self._chosen(rows, count), compute)

    def versions(self, rows: np.ndarray, held: str) -> np.ndarray:
        """What is given out for a version of chosen fragments, by its name (`fragments.versions`), and for what is made of it
        to ask more than once, float32 [1 + RANGE, models, n, classes], memory-mapped."""
        data, s = self.dataset, self.dataset.settings

        def compute() -> np.ndarray:
            network = self.pool.models.network
            asked = version_features(
                s.feature, data.fragments, rows, held, s.hop, data.cache, data.corpus, data.device, data.seed
            )
            return self.answered(query_models(network, heard, data.device) for heard in asked)

        params = self._defended if self.defense.alters else {}
        return self._array(
            "version-logits", params | dict(rows=digest(rows.tolist()), held=held, seed=data.seed), compute, self._kinds
        )

    def sensitivity(self, rows: np.ndarray) -> np.ndarray:
        """How far the posteriors that are given out for chosen fragments move with noise on the features, float32 [models, n,
        classes]."""
        data = self.dataset

        def compute() -> np.ndarray:
            features, network = data.features[rows].float(), self.pool.models.network
            asked = (query_models(network, heard, data.device) for heard in noisy(features, data.seed))
            return sensitivity(self.logits[:, rows], self.answered(asked)).astype(np.float32)

        params = self._defended if self.defense.alters else {}
        return self._array(
            "sensitivity", params | dict(rows=digest(rows.tolist()), seed=data.seed), compute, self._kinds
        )

    def internals(self, rows: np.ndarray) -> np.ndarray:
        """What their owner reads inside all models for chosen fragments, float64 [models, n, W] (`read_internals`)."""
        data, labels = self.dataset, self.labels[:, rows]

        def compute() -> np.ndarray:
            return read_internals(self.pool.models.network, data.features[rows], labels, data.device)

        return self._array("internals", dict(rows=digest(rows.tolist()), labels=digest(labels.tolist())), compute)

    def inputs(self, rows: np.ndarray) -> np.ndarray:
        """What fragments are like, whatever a model says: mean and deviation of features over time, float64 [n, D]."""
        return summary_vectors(self.dataset.features[rows].cpu()).astype(np.float64)

    def signals(self, rows: np.ndarray, needs: Sequence[str], member: np.ndarray, **options) -> Signals:
        """Signals of all models on the fragments `rows` [n], with the extras that `needs` names.

        member: int8 [models, n]. options: other fields of Signals, of the same fragments.
        """
        extras = {"copies" if name == NAMES else name: getattr(self, name)(rows) for name in needs}
        return Signals(self.logits[:, rows], self.labels[:, rows], member, **options, **extras)

    @cached_property
    def key(self) -> str:
        """Digest of what is given out, and by which models: what records rest on."""
        return digest([self.pool.weights, content(Path(str(self.logits.filename)).parent)])

    def _array(
        self, name: str, params: dict, compute: Callable[[], np.ndarray], uses: Iterable[object] = ()
    ) -> np.memmap:
        """An array of answers as a cached stage, memory-mapped."""

        def build(folder: Path, _scratch: Path) -> None:
            np.save(folder / "values.npy", compute())

        pool, data = self.pool, self.dataset
        asked = dict(weights=pool.weights, model=pool.config.model, device=data.device.type, **data.key)
        stage = data.cache.stage(name, asked | params, build, [MODELS.get(pool.config.model), *uses])
        return np.load(stage / "values.npy", mmap_mode="r", allow_pickle=False)

    def _chosen(self, rows: np.ndarray, count: int) -> dict:
        return dict(rows=digest(rows.tolist()), count=count, seed=self.dataset.seed)

    @property
    def _defended(self) -> dict:
        """Decides what becomes of what the models say; a defense may read the fragments set aside for it."""
        pool, roles = self.pool, hashlib.sha256()
        for split in pool.splits:
            roles.update(split.role.tobytes() + "\0".join(split.speakers).encode())
        return dict(defense=pool.defense_name, seeds=pool.seeds, roles=roles.hexdigest())

    @property
    def _kinds(self) -> list[type[Defense]]:
        return defense_kinds(self.pool.defense_name)
